"""RE-DMT: each part against plain NumPy, switches, gradients and degenerate clips."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from hhmnet_core.models.reranking import k_reciprocal_jaccard
from hhmnet_core.models.spatial import ReDmt, feature_distance
from hhmnet_core.skeleton.layouts import get_layout

LAYOUT = get_layout("kinect_v1_20")
SEGMENTS, HEADS, WIDTH = 4, 4, 32


def layer(mask: bool = True, rerank: bool = True, attention: bool = True) -> ReDmt:
    """Return a layer whose parameters are all random, so that each of them matters."""
    redmt = ReDmt(LAYOUT, WIDTH, HEADS, SEGMENTS, attention, mask, rerank, 6, 3).double()
    for parameter in redmt.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return redmt


def features(frames: int = 6) -> Tensor:
    return torch.randn(2, frames, 20, WIDTH, dtype=torch.float64)


def segments_of(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means of 6 frames in 4 segments: (V, C) each."""
    return np.stack([x[0:1].mean(0), x[1:3].mean(0), x[3:4].mean(0), x[4:6].mean(0)])


def cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_scores_are_cosines_times_a_temperature_plus_the_bias_of_hops() -> None:
    redmt = layer()
    x = features()[:1]
    segments = segments_of(x[0].numpy())
    projected = redmt.query_key(torch.from_numpy(segments)).detach().numpy()
    query, key = projected[..., :16], projected[..., 16:]
    scores = redmt.scores(torch.from_numpy(segments)[None])[0].detach().numpy()
    for head in range(HEADS):
        own = slice(4 * head, 4 * head + 4)
        temperature = redmt.temperature[head].item()
        for v in (0, 7, 19):
            for u in (0, 3, 19):
                expected = (
                    temperature * cosine(query[:, v, own].ravel(), key[:, u, own].ravel())
                    + redmt.hop_bias[head, LAYOUT.hops[v, u]].item()
                )
                np.testing.assert_allclose(scores[head, v, u], expected, rtol=1e-12)


def test_distance_is_half_of_one_minus_the_cosine_of_centred_features() -> None:
    segments = torch.randn(1, SEGMENTS, 20, WIDTH, dtype=torch.float64)
    distance = feature_distance(segments)[0].numpy()
    feature = segments[0].numpy().transpose(1, 0, 2).reshape(20, -1)
    feature = feature - feature.mean(0)
    expected = [[(1 - cosine(one, other)) / 2 for other in feature] for one in feature]
    np.testing.assert_allclose(distance, expected, atol=1e-12)
    np.testing.assert_allclose(distance, distance.T, atol=1e-15)


def test_similarity_is_one_minus_jaccard_standardised_over_the_keys() -> None:
    segments = torch.randn(2, SEGMENTS, 20, WIDTH, dtype=torch.float64)
    similarity = 1 - k_reciprocal_jaccard(feature_distance(segments), 6, 3).numpy()
    expected = similarity - similarity.mean(-1, keepdims=True)
    expected /= similarity.std(-1, ddof=1, keepdims=True)
    np.testing.assert_allclose(layer().reranked_similarity(segments), expected, atol=1e-12)


def test_each_head_adds_the_similarity_with_its_weight() -> None:
    redmt, x = layer(), features()
    segments = torch.stack([torch.from_numpy(segments_of(clip.numpy())) for clip in x])
    similarity = redmt.reranked_similarity(segments)
    weights = redmt.rerank_weight[:, None, None]
    expected = (redmt.scores(segments) + weights * similarity[:, None]).softmax(-1)
    torch.testing.assert_close(redmt.attention(x), expected)


def test_mask_reaches_zero_and_one_and_follows_each_frame() -> None:
    redmt, x = layer(), 8 * features()
    mask = redmt.mask(x)
    logits = x.numpy() @ redmt.mask_logits.weight.detach().numpy().T
    logits += redmt.mask_logits.bias.detach().numpy()
    expected = np.clip(1.2 / (1 + np.exp(-logits)) - 0.1, 0, 1)
    np.testing.assert_allclose(mask.detach(), expected, atol=1e-12)
    assert (mask == 0).any() and (mask == 1).any()
    assert not torch.equal(mask[:, 0], mask[:, 1])


def test_layer_mixes_values_by_both_maps_and_masks_them() -> None:
    redmt, x = layer(), features()
    normalised = redmt.norm(x)
    maps = (redmt.attention(normalised) + redmt.static_map).detach().numpy()
    values = redmt.value(normalised).detach().numpy().reshape(2, 6, 20, HEADS, -1)
    mixed = np.stack(
        [np.einsum("rvu,rtud->rtvd", maps[:, h], values[..., h, :]) for h in range(HEADS)], 3
    )
    masked = mixed.reshape(2, 6, 20, WIDTH) * redmt.mask(normalised).detach().numpy()
    expected = redmt.out(torch.from_numpy(np.maximum(masked, 0)))
    torch.testing.assert_close(redmt(x), expected)


def test_new_mask_is_open_and_alike_for_all() -> None:
    redmt = ReDmt(LAYOUT, WIDTH, HEADS, SEGMENTS, True, True, True, 6, 3)
    mask = redmt.mask(torch.randn(2, 6, 20, WIDTH))
    torch.testing.assert_close(mask, mask[:1, :1, :1, :1].expand_as(mask))
    assert 0.89 < mask.mean().item() < 0.91


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("rerank", [True, False])
def test_every_parameter_of_every_switch_learns(mask: bool, rerank: bool) -> None:
    redmt = layer(mask, rerank)
    names = {name.split(".")[0] for name, _ in redmt.named_parameters()}
    assert ("mask_logits" in names, "rerank_weight" in names) == (mask, rerank)
    redmt(features()).square().sum().backward()
    for name, parameter in redmt.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_static_map_alone_is_a_linear_mix_of_values() -> None:
    redmt, x = layer(mask=False, attention=False), features()
    assert {name.split(".")[0] for name, _ in redmt.named_parameters()} == {
        "norm", "value", "out", "static_map"
    }  # fmt: skip
    values = redmt.value(redmt.norm(x)).detach().numpy().reshape(2, 6, 20, HEADS, -1)
    mixed = np.einsum("hvu,rtuhd->rtvhd", redmt.static_map.detach().numpy(), values)
    expected = redmt.out(torch.from_numpy(np.maximum(mixed, 0).reshape(2, 6, 20, WIDTH)))
    torch.testing.assert_close(redmt(x), expected)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_joints_that_are_all_alike_give_finite_results_and_gradients(fill: float) -> None:
    redmt = layer()
    x = torch.full((2, 6, 20, WIDTH), fill, dtype=torch.float64, requires_grad=True)
    redmt(x).square().sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in redmt.parameters())
