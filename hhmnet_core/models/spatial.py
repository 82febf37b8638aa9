"""RE-DMT: Reranking-Enhanced Dynamic Mask Transformer, attention over joints.

The name and the idea (global spatial attention; a dynamic mask and re-ranking against redundancy)
are from the abstract of HHMNet (Zhang et al., ACM MM 2023, 10.1145/3581783.3612560). Everything
below the abstract is this project's own design, chosen by ablations
(docs/decisions/0032-re-dmt-version-2.md):

1. Scores: one V x V map for each body and head. Queries and keys come from a few temporal segments;
   a score is their cosine times a temperature that each head learns, so scores cannot grow until
   the softmax saturates. A learnable bias for each hop distance adds the structure of the skeleton.
2. Re-ranking: the joints' features, centred over the joints, are compared by their cosine and
   re-ranked by k-reciprocal encoding (Zhong et al., CVPR 2017), once for each body. The similarity
   1 - Jaccard is standardised over the keys, which brings it to the size of the scores, and each
   head adds it with a weight that it learns.
3. A learnable static joint map is added, as in DSTA-Net (Shi et al., ACCV 2020).
4. Dynamic mask: what a joint receives is masked for each frame and channel, by values in [0, 1]
   computed from its own features. They reach 0 and 1 exactly.

Version 1, the design before it, is in `spatial_v1`.

Shapes: R bodies that are present in the clips, T frames, V joints, C channels, H heads, S segments.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.models.precision import full_precision
from hhmnet_core.models.reranking import k_reciprocal_jaccard
from hhmnet_core.skeleton.layouts import Layout

INITIAL_TEMPERATURE = 6.0
INITIAL_MASK_LOGIT = 1.6  # a mask of 0.9


class ReDmt(nn.Module):
    """One RE-DMT layer: (R, T, V, C) -> (R, T, V, C), to be added to its input.

    Args:
        layout: Skeleton layout; gives V and the hop distances.
        width: C.
        heads: H; C is a multiple of 2 * H.
        segments: S, number of temporal segments from which queries and keys are computed.
        attention: Whether there is dynamic attention; otherwise the static map is alone.
        mask: Whether there is a dynamic mask.
        rerank: Whether scores are re-ranked.
        k1: Size of the reciprocal neighbourhoods in the re-ranking.
        k2: Number of neighbours in the local query expansion of the re-ranking.
    """

    hops_vv: Tensor

    def __init__(
        self,
        layout: Layout,
        width: int,
        heads: int,
        segments: int,
        attention: bool,
        mask: bool,
        rerank: bool,
        k1: int,
        k2: int,
    ) -> None:
        super().__init__()
        self.heads, self.segments = heads, segments
        self.k1, self.k2 = k1, k2
        self.norm = nn.LayerNorm(width)
        self.attends, self.reranks, self.masks = attention, attention and rerank, mask
        if self.attends:
            self.query_key = nn.Linear(width, width)
            self.hop_bias = nn.Parameter(torch.zeros(heads, int(layout.hops.max()) + 1))
            self.temperature = nn.Parameter(torch.full((heads,), INITIAL_TEMPERATURE))
        if self.reranks:
            self.rerank_weight = nn.Parameter(torch.ones(heads))
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.register_buffer("hops_vv", layout.hops, persistent=False)
        self.static_map = nn.Parameter(hop_maps(layout, heads))
        if mask:
            self.mask_logits = nn.Linear(width, width)
            nn.init.zeros_(self.mask_logits.weight)
            nn.init.constant_(self.mask_logits.bias, INITIAL_MASK_LOGIT)

    def scores(self, x_rsvc: Tensor) -> Tensor:
        """Return the scores (R, H, V, V) of segments (R, S, V, C), before the re-ranking."""
        # (R, S, V, 2, H, d) -> 2 of (R, H, V, S * d)
        pairs = self.query_key(x_rsvc).unflatten(-1, (2, self.heads, -1)).permute(3, 0, 4, 2, 1, 5)
        query, key = F.normalize(pairs.flatten(4), dim=-1).unbind(0)
        scores: Tensor = (query * self.temperature[:, None, None]) @ key.mT
        return scores + self.hop_bias[:, self.hops_vv]

    @torch.no_grad()  # the neighbourhoods are sets, constant almost everywhere
    def reranked_similarity(self, x_rsvc: Tensor) -> Tensor:
        """Return the re-ranked similarity of joints (R, V, V): rows have mean 0 and deviation 1."""
        with full_precision(x_rsvc.device):
            distance_rvv = feature_distance(x_rsvc.to(self.static_map.dtype))
            similarity = 1 - k_reciprocal_jaccard(distance_rvv, self.k1, self.k2)
            centred = similarity - similarity.mean(-1, keepdim=True)
            return centred / similarity.std(-1, keepdim=True).clamp_min(1e-4)

    def attention(self, x_rtvc: Tensor) -> Tensor:
        """Return the dynamic attention (R, H, V, V) of normalised features; rows sum to one."""
        x_rsvc = segment_means(x_rtvc, min(self.segments, x_rtvc.shape[1]))
        scores = self.scores(x_rsvc)
        if self.reranks:
            similarity_rvu = self.reranked_similarity(x_rsvc)
            scores = scores + self.rerank_weight[:, None, None] * similarity_rvu.unsqueeze(1)
        return scores.softmax(-1)

    def mask(self, x_rtvc: Tensor) -> Tensor:
        """Return the dynamic mask (R, T, V, C) of normalised features, in [0, 1]."""
        opening: Tensor = self.mask_logits(x_rtvc).sigmoid()
        return (1.2 * opening - 0.1).clamp(0, 1)

    def forward(self, x_rtvc: Tensor) -> Tensor:
        x_rtvc = self.norm(x_rtvc)
        if self.attends:
            map_rhvu = self.attention(x_rtvc) + self.static_map
        else:
            map_rhvu = self.static_map.expand(x_rtvc.shape[0], -1, -1, -1)
        value_rtuhd = self.value(x_rtvc).unflatten(-1, (self.heads, -1))
        mixed = torch.einsum("rhvu,rtuhd->rtvhd", map_rhvu, value_rtuhd).flatten(3)
        if self.masks:
            mixed = mixed * self.mask(x_rtvc)
        out: Tensor = self.out(F.relu(mixed))
        return out


def feature_distance(x_rsvc: Tensor) -> Tensor:
    """Return 1 - cosine of the joints' features over all segments, halved: (R, V, V), in [0, 1].

    The features (R, S, V, C) are centred over the joints. The distance is symmetric.
    """
    feature_rvc = x_rsvc.transpose(1, 2).flatten(2)
    feature_rvc = F.normalize(feature_rvc - feature_rvc.mean(1, keepdim=True), dim=-1)
    return (1 - feature_rvc @ feature_rvc.mT).clamp_min(0) / 2


def segment_means(x_rtvc: Tensor, segments: int) -> Tensor:
    """Average the frames of S segments of equal length, or nearly: (R, T, V, C) -> (R, S, V, C)."""
    frames, device = x_rtvc.shape[1], x_rtvc.device
    # One matrix product: the gradient of slices is a zeroed copy of all frames for each segment.
    segment_of_frame_t = ((torch.arange(frames, device=device) + 1) * segments - 1) // frames
    belongs_st = (segment_of_frame_t == torch.arange(segments, device=device)[:, None]).to(x_rtvc)
    averaging_st = belongs_st / belongs_st.sum(1, keepdim=True)
    means: Tensor = (averaging_st @ x_rtvc.flatten(2)).unflatten(2, x_rtvc.shape[2:])
    return means


def hop_maps(layout: Layout, heads: int) -> Tensor:
    """Return the initial static maps (H, V, V): head h averages the joints h mod 3 hops away."""
    maps = torch.stack([(layout.hops == h % 3).float() for h in range(heads)])
    averaging: Tensor = maps / maps.sum(-1, keepdim=True).clamp_min(1)
    return averaging
