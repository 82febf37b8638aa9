"""Guidance against plain loops, and that no clip ever depends on another."""

import math

import numpy as np
import pytest
import torch

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.heat_maps import (
    DEFAULT_SPREAD,
    heat_map,
    importance_at_images,
    joint_gaussians,
    part_masks,
)
from hhmnet_core.models.joint_importance import compute_guidance
from hhmnet_core.models.registry import build_encoder
from hhmnet_core.skeleton.layouts import PARTS, get_layout

LAYOUT = get_layout("kinect_v1_20")


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    # Re-ranking is held constant by the gradient, and would not be by finite differences.
    config = ModelConfig(widths=[16, 32], heads=2, patch=2, rerank=False)
    return build_encoder(config, LAYOUT, 5).double().eval()


@pytest.fixture
def clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Three clips, the middle one of two bodies."""
    torch.manual_seed(1)
    return torch.randn(3, 3, 16, 20, 2, dtype=torch.float64), torch.tensor([0, 2, 3, 4])


def test_importance_is_gradient_times_way_from_the_mean_pose(
    encoder: Encoder, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Against central differences of the decision, coordinate by coordinate."""
    x, rows = clips
    insight = compute_guidance(encoder, x, rows)
    likely = encoder(x, rows).logits_nk.softmax(1)

    def decision(moved: torch.Tensor, n: int) -> float:
        logits = encoder(moved, rows).logits_nk[n]
        return float((likely[n] * (logits - logits.mean())).sum())

    for n, m, t, v in ((0, 0, 3, 5), (1, 0, 15, 0), (1, 1, 7, 19), (2, 0, 0, 11)):
        terms = []
        for c in range(3):
            ahead, back = x.clone(), x.clone()
            ahead[n, c, t, v, m] += 1e-5
            back[n, c, t, v, m] -= 1e-5
            slope = (decision(ahead, n) - decision(back, n)) / 2e-5
            terms.append(slope * float(x[n, c, t, v, m] - x[n, c, :, v, m].mean()))
        plain = math.hypot(*terms)
        reference = insight.importance_nmtv[n, m, t, v] / insight.importance_nmtv[n, m, 4, 4]
        other = []
        for c in range(3):
            ahead, back = x.clone(), x.clone()
            ahead[n, c, 4, 4, m] += 1e-5
            back[n, c, 4, 4, m] -= 1e-5
            slope = (decision(ahead, n) - decision(back, n)) / 2e-5
            other.append(slope * float(x[n, c, 4, 4, m] - x[n, c, :, 4, m].mean()))
        assert plain / math.hypot(*other) == pytest.approx(float(reference), rel=1e-4)
    present = insight.importance_nmtv.flatten(2).mean(2)
    assert present[0, 0] == pytest.approx(1) and present[1].mean() == pytest.approx(1)
    assert (insight.importance_nmtv[[0, 2], 1] == 0).all()


def test_clip_that_does_not_move_counts_all_joints_alike(encoder: Encoder) -> None:
    still = torch.randn(1, 3, 1, 20, 1, dtype=torch.float64).expand(1, 3, 16, 20, 1)
    assert (compute_guidance(encoder, still, torch.tensor([0])).importance_nmtv == 1).all()


def test_parts_are_means_over_their_joints(
    encoder: Encoder, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    x, rows = clips
    tokens = compute_guidance(encoder, x, rows).parts_npc
    features = encoder.forward_features(x[1].permute(3, 1, 2, 0), None)  # both bodies
    for at, part in enumerate(PARTS):
        expected = features[:, :, list(LAYOUT.parts[part])].mean((0, 1, 2))
        torch.testing.assert_close(tokens[1, at], expected)


def test_a_clip_is_seen_alike_whatever_the_others(
    encoder: Encoder, clips: tuple[torch.Tensor, torch.Tensor]
) -> None:
    x, rows = clips
    together, alone = compute_guidance(encoder, x, rows), compute_guidance(encoder, x[1:2], torch.tensor([0, 1]))
    torch.testing.assert_close(together.importance_nmtv[1:2], alone.importance_nmtv)
    torch.testing.assert_close(together.parts_npc[1:2], alone.parts_npc)


def test_images_take_the_importance_of_their_time() -> None:
    importance = torch.arange(4.0).view(1, 1, 4, 1).expand(2, 1, 4, 3)
    at = importance_at_images(importance, torch.tensor([[0, 4, 9], [0, 50, 99]]), torch.tensor([10, 100]))
    assert at[..., 0].tolist() == [[[0, 1, 3]], [[0, 2, 3]]]
    assert at.shape == (2, 1, 3, 3)


def test_gaussians_equal_the_formula_and_unknown_joints_leave_none() -> None:
    torch.manual_seed(0)
    joints = torch.rand(2, 1, 4, 3, 2)
    joints[0, 0, 1, 2] = torch.nan
    spots = joint_gaussians(joints, (2, 5, 7))
    assert spots.shape == (2, 1, 2, 3, 5, 7)
    for n, t, v, h, w in np.ndindex(2, 2, 3, 5, 7):
        values = []
        for f in (2 * t, 2 * t + 1):
            x, y = joints[n, 0, f, v].tolist()
            far = ((w + 0.5) / 7 - x) ** 2 + ((h + 0.5) / 5 - y) ** 2
            values.append(0.0 if math.isnan(x) else math.exp(-far / (2 * DEFAULT_SPREAD**2)))
        assert spots[n, 0, t, v, h, w] == pytest.approx(sum(values) / 2, abs=1e-6)


def test_heat_is_the_strongest_joint_of_mean_one() -> None:
    torch.manual_seed(0)
    spots = joint_gaussians(torch.rand(3, 2, 4, 20, 2), (4, 6, 6))
    importance = torch.rand(3, 2, 4, 20)
    importance[2] = 0
    heat = heat_map(importance, spots)
    torch.testing.assert_close(heat.mean((1, 2, 3)), torch.ones(3))
    weighted = importance[0, :, :, :, None, None] * spots[0]
    plain = torch.stack([weighted[m, :, v] for m in range(2) for v in range(20)]).max(0).values
    torch.testing.assert_close(heat[0], plain / plain.mean())
    assert (heat[2] == 1).all()  # nothing to say: everywhere alike


def test_masks_are_where_the_parts_are() -> None:
    joints = torch.full((1, 1, 1, 20, 2), torch.nan)
    hand = LAYOUT.joint("left_hand")
    joints[0, 0, 0, hand] = torch.tensor([0.25, 0.75])
    masks = part_masks(joint_gaussians(joints, (1, 8, 8)), LAYOUT)
    arm = PARTS.index("left_arm")
    assert masks.shape == (1, 6, 1, 8, 8)
    row, column = divmod(int(masks[0, arm, 0].argmax()), 8)
    assert row in (5, 6) and column in (1, 2)
    assert masks.sum() == masks[0, arm].sum() > 0
