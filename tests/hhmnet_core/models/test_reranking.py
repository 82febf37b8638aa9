"""Batched k-reciprocal re-ranking against plain loops."""

import numpy as np
import pytest
import torch

from hhmnet_core.models import reranking
from hhmnet_core.models.reranking import k_reciprocal_jaccard


def plain_jaccard(distance: np.ndarray, k1: int, k2: int) -> np.ndarray:
    """Compute the distance of section 3 of Zhong et al., CVPR 2017, one set at a time."""
    items = len(distance)
    ranked = [list(np.argsort(distance[i], kind="stable")) for i in range(items)]

    def nearest(i: int, k: int) -> list[int]:
        return ranked[i][: k + 1]

    def reciprocal(i: int, k: int) -> set[int]:
        return {i} | {j for j in nearest(i, k) if i in nearest(j, k)}

    encoding = np.zeros((items, items))
    for i in range(items):
        expanded = set(reciprocal(i, k1))
        for j in reciprocal(i, k1):
            candidate = reciprocal(j, round(k1 / 2))
            if len(candidate & reciprocal(i, k1)) > 2 / 3 * len(candidate):
                expanded |= candidate
        for j in expanded:
            encoding[i, j] = np.exp(-distance[i, j])
        encoding[i] /= encoding[i].sum()
    if k2 > 1:
        encoding = np.stack([encoding[ranked[i][:k2]].mean(0) for i in range(items)])
    jaccard = np.zeros((items, items))
    for i in range(items):
        for j in range(items):
            smaller = np.minimum(encoding[i], encoding[j]).sum()
            larger = np.maximum(encoding[i], encoding[j]).sum()
            jaccard[i, j] = 1 - smaller / larger
    return jaccard


@pytest.mark.parametrize("joints", [17, 20, 25])
@pytest.mark.parametrize(("k1", "k2"), [(2, 1), (5, 2), (6, 3), (12, 6), (20, 6)])
def test_batched_distances_equal_those_of_plain_loops(joints: int, k1: int, k2: int) -> None:
    affinity = torch.rand(3, 2, joints, joints, dtype=torch.float64)
    distance = 1 - affinity
    distance.diagonal(dim1=-2, dim2=-1).zero_()
    batched = k_reciprocal_jaccard(distance, k1, k2)
    for index in np.ndindex(3, 2):
        plain = plain_jaccard(distance[index].numpy(), k1, k2)
        np.testing.assert_allclose(batched[index].numpy(), plain, atol=1e-12)


def test_item_belongs_to_its_own_neighbourhood_however_far_it_is() -> None:
    distance = torch.rand(20, 20, dtype=torch.float64)
    batched = k_reciprocal_jaccard(distance, 6, 3)
    np.testing.assert_allclose(batched.numpy(), plain_jaccard(distance.numpy(), 6, 3), atol=1e-12)


def test_items_that_are_all_alike_are_at_distance_zero() -> None:
    assert not k_reciprocal_jaccard(torch.zeros(2, 20, 20), 6, 1).isnan().any()
    assert k_reciprocal_jaccard(torch.zeros(2, 5, 5), 6, 3).max() < 1e-6


def test_items_of_two_cliques_are_far_apart() -> None:
    clique = torch.arange(20) % 2
    distance = (clique[:, None] != clique).double() + 0.1 * torch.rand(20, 20, dtype=torch.float64)
    distance = (distance + distance.T) / 2
    distance.fill_diagonal_(0)
    jaccard = k_reciprocal_jaccard(distance, 6, 3)
    same = clique[:, None] == clique
    assert jaccard[same].max() < jaccard[~same].min() == pytest.approx(1)


def test_of_items_at_the_same_distance_the_first_is_nearer() -> None:
    distance = torch.randint(0, 3, (8, 20, 20)).double() / 2
    batched = k_reciprocal_jaccard(distance, 6, 3)
    for index in range(8):
        plain = plain_jaccard(distance[index].numpy(), 6, 3)
        np.testing.assert_allclose(batched[index].numpy(), plain, atol=1e-12)


def test_large_batches_are_ranked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    distance = torch.rand(7, 20, 20, dtype=torch.float64)
    whole = k_reciprocal_jaccard(distance, 6, 3)
    monkeypatch.setattr(reranking, "LARGEST", 2 * 20**3)
    assert torch.equal(k_reciprocal_jaccard(distance, 6, 3), whole)
