"""k-reciprocal re-ranking as batched tensor operations.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017: things
that are among each other's nearest are likelier to be truly near. There is no loop over items.
"""

import torch
from torch import Tensor


def k_reciprocal_jaccard(distance: Tensor, k1: int, k2: int) -> Tensor:
    """Jaccard distance between the k-reciprocal neighbourhoods of V items, in [0, 1].

    Args:
        distance: (..., V, V), row i holding item i's distances, at least 0; ranks within a row
            must be free of ties for a result that does not depend on the sort.
        k1: Size of the reciprocal neighbourhoods (each item itself comes on top).
        k2: Neighbours whose encodings are averaged (local query expansion).

    Returns:
        (..., V, V), the Jaccard distance of eq. 10, after the expansion of eq. 2 (sets that
        overlap by more than 2/3), the encoding of eq. 7 and the local expansion of eq. 11.
    """
    order = distance.argsort(dim=-1)
    rank = torch.empty_like(order).scatter_(
        -1, order, torch.arange(distance.shape[-1], device=order.device).expand_as(order)
    )
    reciprocal = _reciprocal(rank, k1)
    half = _reciprocal(rank, round(k1 / 2))
    # Set sizes and overlaps are sums of zeros and ones: exact in floating point.
    member, half_member = reciprocal.to(distance.dtype), half.to(distance.dtype)
    overlap = member @ half_member.mT
    joins = reciprocal & (3 * overlap > 2 * half_member.sum(-1).unsqueeze(-2))
    expanded = reciprocal | (joins.to(distance.dtype) @ half_member > 0)
    weight = torch.exp(-distance) * expanded
    weight = weight / weight.sum(-1, keepdim=True)
    if k2 > 1:
        weight = (rank < k2).to(distance.dtype) @ weight / min(k2, distance.shape[-1])
    # Rows sum to one, so the sums of minima and maxima follow from the L1 distance alone.
    difference = torch.cdist(weight, weight, p=1.0) / 2
    return 2 * difference / (1 + difference)


def _reciprocal(rank: Tensor, k: int) -> Tensor:
    """Pairs that are among each other's k nearest, themselves included: eq. 1."""
    near = rank <= k
    return near & near.mT
