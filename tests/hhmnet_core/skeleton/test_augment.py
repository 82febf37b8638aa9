"""What augmentation changes and preserves, and that it depends on a clip's batch row alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.randomness import BatchRandom
from hhmnet_core.skeleton.augment import (
    AugmentConfig,
    draw_change,
    frame_positions,
    mirror,
    random_positions,
    rotation,
)
from hhmnet_core.skeleton.layouts import Layout, get_layout

LAYOUT = get_layout("kinect_v1_20")
STILL = AugmentConfig(crop=1, yaw=0, tilt=0, scale=0, shear=0, bone_noise=0)


def row_random(total: int, start: int = 0, stop: int | None = None) -> BatchRandom:
    return BatchRandom(1, "test", total=total, start=start, stop=stop)


def augment(
    joints_nctvm: torch.Tensor,
    config: AugmentConfig,
    layout: Layout,
    random: BatchRandom,
    bone: float = 1.0,
) -> torch.Tensor:
    bone_n = torch.full((len(joints_nctvm),), bone)
    return draw_change(config, layout, random, bone_n).apply(joints_nctvm)


def test_positions_span_the_whole_clip_without_randomness() -> None:
    positions = frame_positions(torch.tensor([1, 2, 9]), 5)
    expected = torch.tensor([[0.0] * 5, [0, 0.25, 0.5, 0.75, 1], [0, 2, 4, 6, 8]])
    torch.testing.assert_close(positions, expected)


def test_whole_positions_are_those_of_numpy_rounded_down() -> None:
    """As CTR-GCN's reader takes them. NumPy loses a whole position once, at 222 frames."""
    for frames in (2, 32, 52):
        lengths = torch.arange(1, 220)
        positions = frame_positions(lengths, frames, whole=True).numpy()
        expected = [np.linspace(0, n - 1, frames).astype(int) for n in lengths.tolist()]
        np.testing.assert_array_equal(positions, expected)
    exact = frame_positions(torch.tensor([222]), 52, whole=True)[0, 27]
    assert exact == 117 and int(np.linspace(0, 221, 52)[27]) == 116


def test_random_positions_stay_inside_and_keep_the_share() -> None:
    lengths = torch.randint(1, 3000, (500,))
    positions = random_positions(lengths, 16, AugmentConfig(crop=0.5), row_random(500))
    assert (positions >= 0).all() and (positions <= lengths[:, None] - 1 + 1e-3).all()
    span = positions[:, -1] - positions[:, 0]
    assert (span >= 0.5 * (lengths - 1) - 1e-3).all()
    assert span.lt(0.6 * (lengths - 1)).any() and span.gt(0.9 * (lengths - 1)).any()


def test_rests_are_a_clip_that_stands_still_before_and_after() -> None:
    """As if the clip were longer: first and last frame repeated, then cropped by the same draws."""
    lengths = torch.tensor([9, 1, 40, 700] * 100)
    config = AugmentConfig(crop=0.6, rest=0.5)
    positions = random_positions(lengths, 16, config, row_random(400))
    draws = row_random(400)
    share, start = draws.uniform(1, low=0.6, high=1.0), draws.uniform(1)
    before, after = (draws.uniform(2) / 2).double().numpy().T
    for row, length in enumerate(lengths.tolist()):
        last, clip = length - 1, np.arange(length)
        rests = [-before[row] * last, *clip, last * (1 + after[row])]  # times of the longer clip
        poses = [0, *clip, last]
        begin = float(start[row] * (1 - share[row]))
        window = rests[0] + (rests[-1] - rests[0]) * (begin + np.linspace(0, share[row].item(), 16))
        expected = np.interp(window, rests, poses)
        np.testing.assert_allclose(positions[row].numpy(), expected, atol=2e-6 * length)
    held = (positions[:, 0] == positions[:, 1]) & (lengths > 1)
    assert 0.2 < held[lengths > 1].float().mean() < 0.7
    assert (positions[:, -1] == lengths - 1).float().mean() > 0.2


def test_no_rest_leaves_positions_as_they_were() -> None:
    lengths = torch.randint(1, 300, (50,))
    draws = row_random(50)
    share = draws.uniform(1, low=0.5, high=1.0)
    start = draws.uniform(1) * (1 - share)
    expected = (lengths - 1.0)[:, None] * (start + share * torch.linspace(0, 1, 16))
    assert torch.equal(random_positions(lengths, 16, AugmentConfig(), row_random(50)), expected)


def test_random_frames_are_frames_of_the_whole_clip_in_order() -> None:
    lengths = torch.randint(1, 60, (400,))
    positions = random_positions(lengths, 40, AugmentConfig(random_frames=True), row_random(400))
    assert torch.equal(positions, positions.floor())
    assert (positions.diff(dim=1) >= 0).all()
    assert (positions >= 0).all() and (positions < lengths[:, None]).all()
    assert positions[:, 0].eq(0).any() and positions[:, -1].eq(lengths - 1).any()
    # Each frame of a clip is as likely: 400 x 40 draws, sigma 1 / sqrt(12 x 16,000) = 0.0023.
    assert ((positions + 0.5) / lengths[:, None]).mean() == pytest.approx(0.5, abs=0.01)


def test_roll_may_differ_from_tilt() -> None:
    joints = torch.randn(6, 3, 4, 20, 1)
    turned = augment(joints, replace(STILL, tilt=0, roll=90), LAYOUT, row_random(6))
    torch.testing.assert_close(turned[:, 2], joints[:, 2])
    assert (turned[:, :2] - joints[:, :2]).abs().amax((1, 2, 3, 4)).gt(0.1).all()
    still = augment(joints, replace(STILL, tilt=0, yaw=0, roll=0), LAYOUT, row_random(6))
    torch.testing.assert_close(still, joints)
    tilted = augment(joints, replace(STILL, tilt=60, roll=0), LAYOUT, row_random(6))
    torch.testing.assert_close(tilted[:, 0], joints[:, 0])  # about x alone


def test_yaw_first_is_the_rotation_of_ctr_gcn() -> None:
    """Its reader multiplies rows by Ry Rx of its own matrices: about y first, then about x."""
    config = replace(STILL, yaw=60, tilt=60, roll=0, yaw_first=True)
    joints = torch.randn(8, 3, 4, 20, 1)
    turned = augment(joints, config, LAYOUT, row_random(8)).numpy()
    angles = row_random(8).uniform(3, low=-1.0, high=1.0).numpy() * math.radians(60)
    largest = 0.0
    for clip, result, (about_x, about_y, _) in zip(joints.numpy(), turned, angles, strict=True):
        cx, sx, cy, sy = math.cos(about_x), math.sin(about_x), math.cos(about_y), math.sin(about_y)
        rx = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
        ry = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
        rows = np.moveaxis(clip, 0, -1).reshape(-1, 3)
        expected = rows @ (ry @ rx)
        np.testing.assert_allclose(np.moveaxis(result, 0, -1).reshape(-1, 3), expected, atol=1e-5)
        np.testing.assert_allclose(rows @ ry @ rx, expected)  # yaw, then tilt
        largest = max(largest, float(np.abs(ry @ rx - rx @ ry).max()))
    assert largest > 0.4  # the orders differ
    tilted_first = augment(joints, replace(config, yaw_first=False), LAYOUT, row_random(8))
    assert np.abs(tilted_first.numpy() - turned).max() > 0.4


def test_roll_comes_last_in_both_orders() -> None:
    joints = torch.randn(3, 3, 4, 20, 1)
    config = replace(STILL, yaw=0, tilt=40, roll=50)
    first, last = (
        augment(joints, replace(config, yaw_first=order), LAYOUT, row_random(3))
        for order in (False, True)
    )
    torch.testing.assert_close(first, last)


def test_zero_strength_changes_nothing() -> None:
    joints = torch.randn(4, 3, 6, 20, 2)
    torch.testing.assert_close(augment(joints, STILL, LAYOUT, row_random(4)), joints)


def test_rotation_keeps_bone_lengths() -> None:
    joints = torch.randn(8, 3, 6, 20, 1, dtype=torch.float64).float()
    config = AugmentConfig(crop=1, yaw=180, tilt=90, scale=0, shear=0, bone_noise=0)
    turned = augment(joints, config, LAYOUT, row_random(8))
    assert (turned - joints).abs().max() > 0.5
    parents = list(LAYOUT.parents)
    before = (joints - joints[:, :, :, parents]).norm(dim=1)
    torch.testing.assert_close((turned - turned[:, :, :, parents]).norm(dim=1), before)


def test_rotation_turns_about_the_named_axes() -> None:
    quarter = math.pi / 2
    x, y, z = torch.eye(3)
    for angles, start, end in (
        ((quarter, 0, 0), y, z),
        ((0, quarter, 0), z, x),
        ((0, 0, quarter), x, y),
    ):
        torch.testing.assert_close(
            rotation(torch.tensor([angles]))[0] @ start, end, atol=1e-6, rtol=0
        )
    flat = rotation(torch.tensor([[quarter]]))[0]
    torch.testing.assert_close(
        flat @ torch.tensor([1.0, 0]), torch.tensor([0.0, 1]), atol=1e-6, rtol=0
    )


def test_mirror_swaps_sides_and_x() -> None:
    joints = torch.randn(2, 3, 5, 20, 1)
    mirrored = augment(joints, replace(STILL, mirror=1.0), LAYOUT, row_random(2))
    torch.testing.assert_close(mirrored, mirror(joints, torch.tensor(LAYOUT.mirror)))
    left, right = LAYOUT.joint("left_hand"), LAYOUT.joint("right_hand")
    torch.testing.assert_close(mirrored[:, 0, :, left], -joints[:, 0, :, right])
    torch.testing.assert_close(mirrored[:, 1:, :, left], joints[:, 1:, :, right])


def test_joint_noise_is_constant_in_time() -> None:
    joints = torch.zeros(3, 3, 5, 20, 1)
    shaken = augment(joints, replace(STILL, joint_noise=0.1), LAYOUT, row_random(3))
    assert shaken.std() == pytest.approx(0.1, rel=0.2)
    torch.testing.assert_close(shaken, shaken[:, :, :1].expand_as(shaken))


def test_a_share_of_the_batch_gets_the_numbers_of_the_whole() -> None:
    joints, config = torch.randn(7, 3, 5, 20, 2), AugmentConfig(mirror=0.5)
    whole = augment(joints, config, LAYOUT, row_random(7))
    share = augment(joints[3:5], config, LAYOUT, row_random(7, 3, 5))
    torch.testing.assert_close(share, whole[3:5])


def test_two_dimensions_turn_in_their_plane() -> None:
    joints = torch.randn(4, 2, 5, 17, 1)
    config = AugmentConfig(tilt=90, scale=0, shear=0, bone_noise=0)
    turned = augment(joints, config, get_layout("coco_17"), row_random(4))
    torch.testing.assert_close(turned.norm(dim=1), joints.norm(dim=1))
    still = augment(joints, replace(config, roll=0), get_layout("coco_17"), row_random(4))
    assert (turned - joints).abs().max() > 0.5
    assert (still - joints).abs().max() < 0.1 * joints.abs().max()


def test_bone_noise_adds_up_from_the_centre() -> None:
    joints = torch.randn(3000, 3, 2, 20, 2)
    config = replace(STILL, bone_noise=0.2)
    offset = augment(joints, config, LAYOUT, row_random(3000)) - joints
    assert offset.std((2, 4)).max() < 1e-6  # the same in all frames and for both bodies
    drawn = drawn_noise(config, 3000)
    expected = np.zeros((3000, 3, 20))
    for joint in range(20):
        on_path = joint
        while on_path != LAYOUT.centre:
            expected[:, :, joint] += drawn[:, :, on_path]
            on_path = LAYOUT.parents[on_path]
        expected[:, :, joint] += drawn[:, :, LAYOUT.centre]
    np.testing.assert_allclose(offset[:, :, 0, :, 0].numpy(), expected, atol=1e-5)
    depths = LAYOUT.hops[LAYOUT.centre]
    spread = offset[:, :, 0, :, 0].square().mean((0, 1)).sqrt()
    torch.testing.assert_close(spread, 0.2 * (depths + 1.0).sqrt(), rtol=0.04, atol=0)
    both = augment(joints, replace(config, joint_noise=0.1), LAYOUT, row_random(3000)) - joints
    assert both[:, :, 0, LAYOUT.centre, 0].std() == pytest.approx(math.hypot(0.1, 0.2), rel=0.05)


def test_bone_noise_is_a_share_of_each_clips_own_bones() -> None:
    joints = torch.randn(3, 3, 2, 20, 1)
    config = replace(STILL, bone_noise=0.2)
    in_metres = augment(joints, config, LAYOUT, row_random(3), bone=0.22)
    in_millimetres = augment(1000 * joints, config, LAYOUT, row_random(3), bone=220.0)
    torch.testing.assert_close(in_millimetres, 1000 * in_metres)
    adult_and_child = draw_change(config, LAYOUT, row_random(2), torch.tensor([1.0, 0.5]))
    both_adults = draw_change(config, LAYOUT, row_random(2), torch.ones(2))
    assert adult_and_child.offset_ncv is not None and both_adults.offset_ncv is not None
    expected = both_adults.offset_ncv * torch.tensor([1.0, 0.5])[:, None, None]
    torch.testing.assert_close(adult_and_child.offset_ncv, expected)


def drawn_noise(config: AugmentConfig, clips: int) -> np.ndarray:
    """Return the noise of each bone: what is drawn after rotation, scale and shear."""
    random = row_random(clips)
    for shape in ((3,), (3,), (3, 3)):
        random.uniform(*shape)
    return (random.normal(3, 20) * config.bone_noise).double().numpy()


def test_rests_are_refused_where_frames_are_drawn_from_whole_clips() -> None:
    with pytest.raises(InputError, match=r"rest 0.5 is for crops.*set one of them off"):
        AugmentConfig(rest=0.5, random_frames=True)


@pytest.mark.parametrize(
    "bad",
    [
        {"crop": 0},
        {"crop": 1.5},
        {"mirror": 2},
        {"yaw": -1},
        {"roll": -1},
        {"yaw": float("nan")},
        {"bone_noise": float("inf")},
        {"joint_noise": 1e30},
        {"rest": -1},
        {"rest": 11},
    ],
)
def test_impossible_strength_is_named(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"augment.{next(iter(bad))} must be"):
        AugmentConfig(**bad)
