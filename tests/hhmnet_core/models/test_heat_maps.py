"""Gaussians, heat maps and body-part masks against plain loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hhmnet_core.models.heat_maps import (
    DEFAULT_SPREAD,
    heat_map,
    importance_at_images,
    joint_gaussians,
    part_joints,
    part_masks,
)
from hhmnet_core.skeleton.layouts import PARTS, get_layout

CPU = torch.device("cpu")
LAYOUT = get_layout("kinect_v1_20")


def test_images_take_the_importance_at_their_frame() -> None:
    importance = torch.arange(4.0).view(1, 1, 4, 1).expand(2, 1, 4, 3)
    at = importance_at_images(
        importance, torch.tensor([[0, 4, 9], [0, 50, 99]]), torch.tensor([10, 100])
    )
    assert at[..., 0].tolist() == [[[0, 1, 3]], [[0, 2, 3]]]
    assert at.shape == (2, 1, 3, 3)


def test_gaussians_equal_their_formula_and_are_zero_for_unknown_joints() -> None:
    torch.manual_seed(0)
    joints = torch.rand(2, 1, 4, 3, 2)
    joints[0, 0, 1, 2] = torch.nan
    gaussians = joint_gaussians(joints, (2, 5, 7))
    assert gaussians.shape == (2, 1, 2, 3, 5, 7)
    for n, t, v, h, w in np.ndindex(2, 2, 3, 5, 7):
        values = []
        for f in (2 * t, 2 * t + 1):
            x, y = joints[n, 0, f, v].tolist()
            squared = ((w + 0.5) / 7 - x) ** 2 + ((h + 0.5) / 5 - y) ** 2
            values.append(0.0 if math.isnan(x) else math.exp(-squared / (2 * DEFAULT_SPREAD**2)))
        assert gaussians[n, 0, t, v, h, w] == pytest.approx(sum(values) / 2, abs=1e-6)


def test_a_heat_map_is_the_highest_weighted_gaussian_scaled_to_mean_one() -> None:
    torch.manual_seed(0)
    gaussians = joint_gaussians(torch.rand(3, 2, 4, 20, 2), (4, 6, 6))
    importance = torch.rand(3, 2, 4, 20)
    importance[2] = 0
    heat = heat_map(importance, gaussians)
    torch.testing.assert_close(heat.mean((1, 2, 3)), torch.ones(3))
    weighted = importance[0, :, :, :, None, None] * gaussians[0]
    highest = torch.stack([weighted[m, :, v] for m in range(2) for v in range(20)]).amax(0)
    torch.testing.assert_close(heat[0], highest / highest.mean())
    assert (heat[2] == 1).all()  # no importance at all: uniform


def test_masks_are_where_the_joints_of_their_part_are() -> None:
    joints = torch.full((1, 1, 1, 20, 2), torch.nan)
    hand = LAYOUT.joint("left_hand")
    joints[0, 0, 0, hand] = torch.tensor([0.25, 0.75])
    masks = part_masks(joint_gaussians(joints, (1, 8, 8)), part_joints(LAYOUT, CPU))
    arm = PARTS.index("left_arm")
    assert masks.shape == (1, 6, 1, 8, 8)
    row, column = divmod(int(masks[0, arm, 0].argmax()), 8)
    assert row in (5, 6) and column in (1, 2)
    assert masks.sum() == masks[0, arm].sum() > 0


def test_the_mask_of_a_part_without_joints_is_zero() -> None:
    headless = replace(LAYOUT, parts=LAYOUT.parts | {"head": ()})
    masks = part_masks(
        joint_gaussians(torch.rand(2, 1, 2, 20, 2), (2, 4, 4)), part_joints(headless, CPU)
    )
    assert (masks[:, PARTS.index("head")] == 0).all() and masks[:, 1:].amax((2, 3, 4)).min() > 0
