"""Losses. Embeddings come with their temperature folded in: a product of two is a logit.

Shapes: N clips, E embedding, S streams (modalities), P body parts.
"""

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(anchors_ne: Tensor, others_ne: Tensor, positives_nn: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE between two views of the same clips, a scalar (van den Oord et al., 2018).

    Each clip's other view is its positive, all other clips' its negatives. With `positives_nn`
    (bool, its diagonal true) several are positives: the mean of their log-probabilities, as in
    supervised contrastive learning (Khosla et al., NeurIPS 2020, L_out).
    """
    logits_nn = anchors_ne @ others_ne.T
    if positives_nn is None:
        clips_n = torch.arange(len(logits_nn), device=logits_nn.device)
        return (F.cross_entropy(logits_nn, clips_n) + F.cross_entropy(logits_nn.T, clips_n)) / 2
    share_nn = positives_nn.to(logits_nn.dtype)
    share_nn = share_nn / share_nn.sum(1, keepdim=True)
    return (F.cross_entropy(logits_nn, share_nn) + F.cross_entropy(logits_nn.T, share_nn)) / 2


def cross_modal_contrast(embeddings_sne: Tensor, labels_n: Tensor | None = None) -> Tensor:
    """InfoNCE of every two streams, (S, S), symmetric with a zero diagonal.

    Args:
        embeddings_sne: (S, N, E), stream by stream the same clips.
        labels_n: Class labels; given, clips of the same class are positives.
    """
    positives_nn = None if labels_n is None else labels_n[:, None] == labels_n
    streams = len(embeddings_sne)
    loss_ss = embeddings_sne.new_zeros(streams, streams)
    for one, other in combinations(range(streams), 2):
        pair = info_nce(embeddings_sne[one], embeddings_sne[other], positives_nn)
        loss_ss[one, other] = loss_ss[other, one] = pair
    return loss_ss


def part_contrast(
    seen_npe: Tensor, known_npe: Tensor, visible_np: Tensor, temperature: float
) -> Tensor:
    """Mean over body parts of symmetric InfoNCE between what is seen and what is known of a part.

    Args:
        seen_npe: (N, P, E) of norm 1, the parts in the video.
        known_npe: (N, P, E) of norm 1, the parts of the same clips' skeletons.
        visible_np: (N, P) bool, which parts take part; others are neither anchors nor negatives.
        temperature: tau.

    Returns:
        A scalar; a part that is visible in no clip counts as no part.
    """
    logits_pnn = torch.einsum("npe,mpe->pnm", seen_npe, known_npe) / temperature
    visible_pn = visible_np.T
    total = logits_pnn.new_zeros(len(visible_pn))
    for each_pnn in (logits_pnn, logits_pnn.transpose(1, 2)):
        # A hidden part is no negative; its own row is left out below, but must stay finite.
        own = torch.eye(each_pnn.shape[1], dtype=torch.bool, device=each_pnn.device)
        hidden = ~visible_pn[:, None, :] & ~own
        log_pn = each_pnn.masked_fill(hidden, -math.inf).log_softmax(2).diagonal(dim1=1, dim2=2)
        total = total - torch.where(visible_pn, log_pn, 0).sum(1) / 2
    counts_p = visible_pn.sum(1)
    per_part = total / counts_p.clamp_min(1)
    return per_part.sum() / (counts_p > 0).sum().clamp_min(1)
