"""Version 1 of RE-DMT, for the models that were trained with it.

Its re-ranking and its mask changed no decision of a trained network, so version 2 replaced it
(docs/decisions/0032-re-dmt-version-2.md). The design:

1. Scores: one V x V map for each body and head. Queries and keys come from a few temporal segments,
   and a score sums q.k over them: attention covers the whole clip, and the map is small enough to
   be re-ranked. A learnable bias for each hop distance adds the structure of the skeleton.
2. Re-ranking: the mean score over the heads is converted to a distance and re-ranked by
   k-reciprocal encoding (Zhong et al., CVPR 2017), once for each body. Each head blends the result
   with its scores S: lambda S + (1 - lambda) gamma (1 - Jaccard), lambda and gamma being learnable
   for each head.
3. Dynamic mask: each query keeps its strongest keys only; a masked key gets exactly zero.
4. A learnable static joint map is added, as in DSTA-Net (Shi et al., ACCV 2020).

Shapes: R bodies that are present in the clips, T frames, V joints, C channels, H heads, S segments.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.models.precision import full_precision
from hhmnet_core.models.reranking import k_reciprocal_jaccard
from hhmnet_core.models.spatial import hop_maps, segment_means
from hhmnet_core.skeleton.layouts import Layout


def keep_strongest(scores: Tensor, kept: int) -> Tensor:
    """Set all but the `kept` strongest keys of each query to -inf: (..., V, V) -> (..., V, V).

    Keys exactly as strong as the weakest kept one are kept too. The softmax of the result is
    exactly zero where masked, and its gradient is finite, since each row keeps a finite score.
    """
    with torch.no_grad():
        weakest = scores.topk(max(1, kept), dim=-1, sorted=False).values.amin(-1, keepdim=True)
        masked = scores < weakest
    return scores.masked_fill(masked, -math.inf)


def affinity_distance(scores: Tensor) -> Tensor:
    """Convert scores (..., V, V) to distances in [0, 1]: the highest score is the least distance.

    The distance of a joint to itself is 0.
    """
    low = scores.amin((-2, -1), keepdim=True)
    high = scores.amax((-2, -1), keepdim=True)
    distance = (high - scores) / (high - low).clamp_min(torch.finfo(scores.dtype).eps)
    own = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
    return distance.masked_fill(own, 0.0)


class ReDmtV1(nn.Module):
    """One layer of version 1: (R, T, V, C) -> (R, T, V, C), to be added to its input.

    Args:
        layout: Skeleton layout; gives V and the hop distances.
        width: C.
        heads: H; C is a multiple of 2 * H.
        segments: S, number of temporal segments from which queries and keys are computed.
        kept_ratio: Share of the keys that each query keeps, in (0, 1]; 1 switches the mask off.
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
        kept_ratio: float,
        rerank: bool,
        k1: int,
        k2: int,
    ) -> None:
        super().__init__()
        joints = layout.num_joints
        self.heads, self.segments = heads, segments
        self.kept = math.ceil(kept_ratio * joints)
        self.k1, self.k2 = k1, k2
        self.norm = nn.LayerNorm(width)
        self.query_key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.register_buffer("hops_vv", layout.hops, persistent=False)
        self.hop_bias = nn.Parameter(torch.zeros(heads, int(layout.hops.max()) + 1))
        self.static_map = nn.Parameter(hop_maps(layout, heads))
        self.rerank = rerank
        if rerank:
            # lambda = 0.3 as in Zhong et al.
            self.lambda_logit = nn.Parameter(torch.full((heads,), math.log(0.3 / 0.7)))
            self.gamma = nn.Parameter(torch.ones(heads))

    def scores(self, x_rtvc: Tensor) -> Tensor:
        """Return the scores (R, H, V, V) before the mask, from normalised features (R, T, V, C)."""
        width = x_rtvc.shape[-1]
        segments = min(self.segments, x_rtvc.shape[1])
        x_rsvc = segment_means(x_rtvc, segments)
        query, key = self.query_key(x_rsvc).unflatten(-1, (2, self.heads, -1)).unbind(3)
        scale = 1 / math.sqrt(segments * width / (2 * self.heads))
        scores = torch.einsum("rsvhd,rsuhd->rhvu", query * scale, key)
        scores = scores + self.hop_bias[:, self.hops_vv]
        if not self.rerank:
            return scores
        # Without a gradient: the neighbourhoods are sets, constant almost everywhere.
        with torch.no_grad(), full_precision(scores.device):
            distance_rvu = affinity_distance(scores.mean(1).to(self.gamma.dtype))
            jaccard = k_reciprocal_jaccard(distance_rvu, self.k1, self.k2).unsqueeze(1)
        own = torch.sigmoid(self.lambda_logit)[:, None, None]
        return own * scores + (1 - own) * self.gamma[:, None, None] * (1 - jaccard)

    def attention(self, x_rtvc: Tensor) -> Tensor:
        """Return the attention (R, H, V, V): rows sum to one, masked keys are exactly zero."""
        scores = self.scores(x_rtvc)
        if self.kept < scores.shape[-1]:
            scores = keep_strongest(scores, self.kept)
        return scores.softmax(-1)

    def forward(self, x_rtvc: Tensor) -> Tensor:
        x_rtvc = self.norm(x_rtvc)
        map_rhvu = self.attention(x_rtvc) + self.static_map
        value_rtuhd = self.value(x_rtvc).unflatten(-1, (self.heads, -1))
        mixed = torch.einsum("rhvu,rtuhd->rtvhd", map_rhvu, value_rtuhd)
        out: Tensor = self.out(F.relu(mixed.flatten(3)))
        return out
