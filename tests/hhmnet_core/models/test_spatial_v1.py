"""Version 1 of RE-DMT: scores against their formula, an exact mask, finite gradients."""

import math

import pytest
import torch

from hhmnet_core.models.reranking import k_reciprocal_jaccard
from hhmnet_core.models.spatial_v1 import ReDmtV1, affinity_distance, keep_strongest
from hhmnet_core.skeleton.layouts import get_layout

LAYOUT = get_layout("kinect_v1_20")


def layer(kept_ratio: float = 0.5, rerank: bool = True) -> ReDmtV1:
    return ReDmtV1(LAYOUT, 32, 4, 4, kept_ratio, rerank, 6, 3)


@pytest.mark.parametrize("kept", [1, 7, 20])
def test_only_the_strongest_keys_are_kept(kept: int) -> None:
    scores = torch.randn(2, 3, 20, 20)
    attention = keep_strongest(scores, kept).softmax(-1)
    assert ((attention > 0).sum(-1) == kept).all()
    weakest_kept = scores.masked_fill(attention == 0, math.inf).amin(-1)
    strongest_masked = scores.masked_fill(attention > 0, -math.inf).amax(-1)
    assert (weakest_kept > strongest_masked).all()


@pytest.mark.parametrize("kept_ratio", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("rerank", [True, False])
def test_masked_keys_get_exactly_zero_and_gradients_are_finite(
    kept_ratio: float, rerank: bool
) -> None:
    redmt = layer(kept_ratio, rerank)
    x = torch.randn(2, 8, 20, 32, requires_grad=True)
    attention = redmt.attention(redmt.norm(x))
    kept = math.ceil(kept_ratio * 20)
    assert ((attention == 0).sum(-1) == 20 - kept).all()
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 4, 20))
    redmt(x).square().sum().backward()
    for tensor in (x, *redmt.parameters()):
        assert tensor.grad is not None and torch.isfinite(tensor.grad).all()


def test_every_parameter_learns() -> None:
    redmt = layer()
    redmt(torch.randn(2, 8, 20, 32)).square().sum().backward()
    for name, parameter in redmt.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_scores_equal_their_formula() -> None:
    redmt = layer(rerank=False).double()
    torch.nn.init.normal_(redmt.hop_bias)
    x = torch.randn(1, 6, 20, 32, dtype=torch.float64)
    scores = redmt.scores(x)
    runs = [x[:, 0:1], x[:, 1:3], x[:, 3:4], x[:, 4:6]]
    segments = torch.stack([run.mean(1) for run in runs], 1)
    projected = segments @ redmt.query_key.weight.T + redmt.query_key.bias
    query, key = projected[..., :16], projected[..., 16:]
    for head in range(4):
        mine = slice(4 * head, 4 * head + 4)
        dots = sum(query[0, s, :, mine] @ key[0, s, :, mine].T for s in range(4))
        bias = redmt.hop_bias[head][LAYOUT.hops]
        torch.testing.assert_close(scores[0, head], dots / math.sqrt(4 * 4) + bias)


def test_reranked_scores_blend_with_the_jaccard_similarity() -> None:
    redmt = layer().double()
    x = torch.randn(2, 8, 20, 32, dtype=torch.float64)
    redmt.rerank = False
    plain = redmt.scores(x)
    redmt.rerank = True
    similarity = 1 - k_reciprocal_jaccard(affinity_distance(plain.mean(1)), 6, 3)[:, None]
    torch.testing.assert_close(redmt.scores(x), 0.3 * plain + 0.7 * similarity)


def test_the_distance_orders_keys_as_the_scores_do() -> None:
    scores = torch.randn(3, 20, 20)
    distance = affinity_distance(scores)
    assert distance.min() == 0 and distance.max() == 1
    assert (distance.diagonal(dim1=-2, dim2=-1) == 0).all()
    off = ~torch.eye(20, dtype=torch.bool)
    assert torch.equal(distance[:, off].argsort(), scores[:, off].argsort(descending=True))


def test_the_distance_of_equal_scores_is_finite() -> None:
    assert torch.isfinite(affinity_distance(torch.ones(20, 20))).all()
