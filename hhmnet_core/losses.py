"""Contrastive losses between modalities and between body parts.

Shapes: N clips, E embedding, S streams (modalities), P body parts.
"""

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(anchors_ne: Tensor, others_ne: Tensor, positives_nn: Tensor | None = None) -> Tensor:
    """Return the symmetric InfoNCE loss between two views of the same clips, a scalar.

    InfoNCE is eq. 4 of van den Oord et al., "Representation Learning with Contrastive Predictive
    Coding", 2018. The positive of a clip is its other view; all other clips are negatives. With
    several positives, the loss is the mean over them, as L_out (eq. 2) of Khosla et al.,
    "Supervised Contrastive Learning", NeurIPS 2020.

    Args:
        anchors_ne: (N, E) embeddings of norm 1/sqrt(temperature): their products are logits.
        others_ne: (N, E) embeddings of the other view, of the same norm.
        positives_nn: (N, N) bool, the positives of each clip; true on the diagonal. Default: the
            diagonal alone.
    """
    logits_nn = anchors_ne @ others_ne.T
    if positives_nn is None:
        clips_n = torch.arange(len(logits_nn), device=logits_nn.device)
        return (F.cross_entropy(logits_nn, clips_n) + F.cross_entropy(logits_nn.T, clips_n)) / 2
    share_nn = positives_nn.to(logits_nn.dtype)
    share_nn = share_nn / share_nn.sum(1, keepdim=True)
    return (F.cross_entropy(logits_nn, share_nn) + F.cross_entropy(logits_nn.T, share_nn)) / 2


def cross_modal_contrast(embeddings_sne: Tensor, labels_n: Tensor | None = None) -> Tensor:
    """Return the InfoNCE loss of each two streams, (S, S), symmetric with a zero diagonal.

    Args:
        embeddings_sne: (S, N, E) embeddings of the same clips in each stream, of norm
            1/sqrt(temperature).
        labels_n: (N,) class labels, to make clips of one class positives. Default: the positive of
            a clip is the same clip alone.
    """
    positives_nn = None if labels_n is None else labels_n[:, None] == labels_n
    streams = len(embeddings_sne)
    loss_ss = embeddings_sne.new_zeros(streams, streams)
    for one, other in combinations(range(streams), 2):
        loss = info_nce(embeddings_sne[one], embeddings_sne[other], positives_nn)
        loss_ss[one, other] = loss_ss[other, one] = loss
    return loss_ss


def part_contrast(
    video_npe: Tensor, skeleton_npe: Tensor, visible_np: Tensor, temperature: float
) -> Tensor:
    """Return the symmetric InfoNCE loss between two views of body parts, the mean over the parts.

    Clips are contrasted part by part: the positive of a part is the same clip's part in the other
    view, the negatives are the same part of other clips.

    Args:
        video_npe: (N, P, E) of norm 1, features of the parts in the video.
        skeleton_npe: (N, P, E) of norm 1, features of the parts of the same clips' skeletons.
        visible_np: (N, P) bool, which parts count; the others are neither anchors nor negatives.
        temperature: Temperature of the softmax.

    Returns:
        A scalar; the mean leaves out parts that are visible in no clip.
    """
    logits_pnn = torch.einsum("npe,mpe->pnm", video_npe, skeleton_npe) / temperature
    visible_pn = visible_np.T
    total_p = logits_pnn.new_zeros(len(visible_pn))
    for each_pnn in (logits_pnn, logits_pnn.transpose(1, 2)):
        # Hidden parts are not negatives. Their own rows are left out below, but must stay finite.
        own = torch.eye(each_pnn.shape[1], dtype=torch.bool, device=each_pnn.device)
        hidden = ~visible_pn[:, None, :] & ~own
        log_pn = each_pnn.masked_fill(hidden, -math.inf).log_softmax(2).diagonal(dim1=1, dim2=2)
        total_p = total_p - torch.where(visible_pn, log_pn, 0).sum(1) / 2
    counts_p = visible_pn.sum(1)
    loss_p = total_p / counts_p.clamp_min(1)
    return loss_p.sum() / (counts_p > 0).sum().clamp_min(1)
