"""Joint importance against finite differences; clips that do not depend on each other."""

import math
from dataclasses import replace

import pytest
import torch

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.joint_importance import compute_guidance
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.layouts import PARTS, get_layout

LAYOUT = get_layout("kinect_v1_20")
BODY_ROWS = torch.tensor([0, 2, 3, 4])  # three clips of two places each; the second has two bodies


@pytest.fixture
def encoder() -> Stst:
    torch.manual_seed(0)
    # Without re-ranking: the gradient leaves it out, finite differences would not.
    config = ModelConfig(widths=[16, 32], heads=2, patch=2, rerank=False)
    return Stst(config, LAYOUT, 5).double().eval().requires_grad_(False)


@pytest.fixture
def x_nctvm() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 3, 16, 20, 2, dtype=torch.float64)


def test_importance_is_gradient_times_displacement_from_the_mean_pose(
    encoder: Stst, x_nctvm: torch.Tensor
) -> None:
    importance_nmtv = compute_guidance(encoder, x_nctvm, BODY_ROWS).importance_nmtv
    probabilities_nk = encoder(x_nctvm, BODY_ROWS).logits_nk.softmax(1)

    def decide(moved_nctvm: torch.Tensor, n: int) -> float:
        logits_k = encoder(moved_nctvm, BODY_ROWS).logits_nk[n]
        return float((probabilities_nk[n] * (logits_k - logits_k.mean())).sum())

    def expected(n: int, m: int, t: int, v: int) -> float:
        """Not normalised, by central differences."""
        terms = []
        for c in range(3):
            ahead, back = x_nctvm.clone(), x_nctvm.clone()
            ahead[n, c, t, v, m] += 1e-5
            back[n, c, t, v, m] -= 1e-5
            slope = (decide(ahead, n) - decide(back, n)) / 2e-5
            terms.append(slope * float(x_nctvm[n, c, t, v, m] - x_nctvm[n, c, :, v, m].mean()))
        return math.hypot(*terms)

    for n, m, t, v in ((0, 0, 3, 5), (1, 0, 15, 0), (1, 1, 7, 19), (2, 0, 0, 11)):
        ratio = float(importance_nmtv[n, m, t, v] / importance_nmtv[n, m, 4, 4])
        assert expected(n, m, t, v) / expected(n, m, 4, 4) == pytest.approx(ratio, rel=1e-4)


def test_importance_has_mean_one_over_present_bodies_and_is_zero_for_absent_ones(
    encoder: Stst, x_nctvm: torch.Tensor
) -> None:
    importance_nmtv = compute_guidance(encoder, x_nctvm, BODY_ROWS).importance_nmtv
    mean_nm = importance_nmtv.mean((2, 3))
    assert mean_nm[0, 0] == pytest.approx(1) and mean_nm[1].mean() == pytest.approx(1)
    assert (importance_nmtv[[0, 2], 1] == 0).all() and (importance_nmtv >= 0).all()


def test_all_joints_of_a_clip_without_motion_are_equally_important(encoder: Stst) -> None:
    still = torch.randn(1, 3, 1, 20, 1, dtype=torch.float64).expand(1, 3, 16, 20, 1)
    assert (compute_guidance(encoder, still, torch.tensor([0])).importance_nmtv == 1).all()


def test_part_features_are_means_over_joints_frames_and_bodies(
    encoder: Stst, x_nctvm: torch.Tensor
) -> None:
    encoder.layout = replace(LAYOUT, parts=LAYOUT.parts | {"head": ()})
    parts_npc = compute_guidance(encoder, x_nctvm, BODY_ROWS).parts_npc
    features = encoder.forward_features(x_nctvm[1].permute(3, 1, 2, 0), None)  # both bodies
    for at, part in enumerate(PARTS[1:], 1):
        expected = features[:, :, list(LAYOUT.parts[part])].mean((0, 1, 2))
        torch.testing.assert_close(parts_npc[1, at], expected)
    assert (parts_npc[:, 0] == 0).all()


def test_the_guidance_of_a_clip_does_not_depend_on_other_clips(
    encoder: Stst, x_nctvm: torch.Tensor
) -> None:
    together = compute_guidance(encoder, x_nctvm, BODY_ROWS)
    alone = compute_guidance(encoder, x_nctvm[1:2], torch.tensor([0, 1]))
    torch.testing.assert_close(together.importance_nmtv[1:2], alone.importance_nmtv)
    torch.testing.assert_close(together.parts_npc[1:2], alone.parts_npc)
