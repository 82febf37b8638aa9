"""k-reciprocal re-ranking as batched tensor operations, without a loop over items.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017: two items
are more likely to be similar if each is among the other's nearest.

Shapes: V items.
"""

import torch
from torch import Tensor

LARGEST = 1 << 26  # numbers in an intermediate result, of R * V * V * V


def k_reciprocal_jaccard(distance: Tensor, k1: int, k2: int) -> Tensor:
    """Return the Jaccard distance between the k-reciprocal neighbourhoods of V items, in [0, 1].

    Args:
        distance: (..., V, V), at least 0; row i holds the distances of item i. Of items at the
            same distance, the one with the smaller index is nearer.
        k1: Size of the reciprocal neighbourhoods, not counting the item itself.
        k2: Number of neighbours whose encodings are averaged (local query expansion).

    Returns:
        (..., V, V), the Jaccard distance of eq. 10, after the expansion of eq. 2 (sets that
        overlap by more than 2/3), the encoding of eq. 7 and the local query expansion of eq. 11.
    """
    rows = max(1, LARGEST // distance.shape[-1] ** 3)
    # Exported graphs have no number of rows.
    if distance.dim() == 3 and not torch.compiler.is_exporting() and distance.shape[0] > rows:
        return torch.cat([k_reciprocal_jaccard(part, k1, k2) for part in distance.split(rows)])
    rank = _ranks(distance)
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
    difference = (weight.unsqueeze(-2) - weight.unsqueeze(-3)).abs().sum(-1) / 2
    return 2 * difference / (1 + difference)


def _ranks(distance: Tensor) -> Tensor:
    """Return the rank of each item in the rows (..., V, V), from 0 for the nearest.

    Of items at the same distance, the one with the smaller index comes first. Counting, unlike
    sorting, is fused with its neighbours by compilers, and is the same on all devices.
    """
    items = torch.arange(distance.shape[-1], device=distance.device)
    other, own = distance.unsqueeze(-2), distance.unsqueeze(-1)
    return ((other < own) | ((other == own) & (items < items[:, None]))).sum(-1)


def _reciprocal(rank: Tensor, k: int) -> Tensor:
    """Return the pairs that are among each other's k nearest, items themselves included (eq. 1)."""
    # An item is not always first in its own row: identical items have its distance, too.
    own = torch.eye(rank.shape[-1], dtype=torch.bool, device=rank.device)
    near = rank <= k
    return (near & near.mT) | own
