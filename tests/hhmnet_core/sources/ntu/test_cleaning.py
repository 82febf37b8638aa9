"""Each step of the NTU cleaning on the smallest example, and all of them together."""

from collections import Counter

import numpy as np
import pytest
from ntu_files import standing_body
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.sources.ntu.cleaning import (
    align_view,
    assign_actors,
    centre_on_first_spine,
    clean_recording,
    drop_broken_poses,
    drop_frames_without_bodies,
    drop_short_bodies,
    drop_spread_bodies,
    motion_of,
    order_by_motion,
)
from hhmnet_core.sources.ntu.skeleton_file import Body, Recording


def body(start: int, frames: int, x: float = 0.0, seed: int = 0) -> Body:
    joints = standing_body(np.random.default_rng(seed), frames, x).astype(np.float32)
    return Body(np.arange(start, start + frames), joints, joints[..., :2] * 100)


def lying(start: int, frames: int) -> Body:
    upright = body(start, frames)
    return Body(upright.frames, upright.joints[..., [1, 0, 2]], upright.pixels)


def test_poses_with_nan_are_dropped() -> None:
    broken, gone = body(0, 5), body(0, 2)
    broken.joints[3, 7, 1] = np.nan
    gone.joints[:, 0, 0] = np.inf
    dropped: Counter[str] = Counter()
    (kept,) = drop_broken_poses([broken, gone], dropped)
    assert kept.frames.tolist() == [0, 1, 2, 4]
    assert dropped == {"poses with values that are no numbers": 3}


def test_frames_without_bodies_are_closed_up() -> None:
    dropped: Counter[str] = Counter()
    bodies, recorded = drop_frames_without_bodies([body(2, 3), body(7, 2)], 12, dropped)
    assert [b.frames.tolist() for b in bodies] == [[0, 1, 2], [3, 4]]
    assert recorded.tolist() == [2, 3, 4, 7, 8] and dropped == {"frames without bodies": 7}


def test_short_bodies_are_dropped_but_never_all() -> None:
    dropped: Counter[str] = Counter()
    kept = drop_short_bodies([body(0, 11), body(0, 12), body(0, 30)], dropped)
    assert [len(b) for b in kept] == [12, 30]
    assert dropped == {"bodies seen in 11 frames or fewer": 1}
    assert [len(b) for b in drop_short_bodies([body(0, 4), body(0, 9)], dropped)] == [9]


def test_body_that_is_mostly_noise_is_dropped_but_never_the_last() -> None:
    dropped: Counter[str] = Counter()
    upright, flat = body(0, 20), lying(0, 20)
    kept, motions = drop_spread_bodies([flat, upright], dropped)
    assert kept == [upright] and motions == [motion_of(upright.joints)]
    assert drop_spread_bodies([flat], dropped)[0] == [flat]
    assert drop_spread_bodies([flat, flat], dropped)[0] == [flat]
    assert dropped == {"bodies wider than high": 2}


def test_motion_counts_only_poses_that_are_not_noise() -> None:
    some = body(0, 20)
    some.joints[:5] = lying(0, 5).joints * 3
    kept, motions = drop_spread_bodies([some, body(0, 20)], Counter())
    assert len(kept) == 2
    assert motions[0] == motion_of(some.joints[5:]) < motion_of(some.joints)


def test_motion_is_the_sum_of_variances() -> None:
    joints = np.zeros((2, 2, 3), dtype=np.float32)
    joints[1, :, 0], joints[0, 0, 1] = 2.0, 4.0
    assert motion_of(joints) == 1.0 + 3.0


def test_the_body_that_moves_most_comes_first() -> None:
    one, two, three = body(0, 3), body(0, 4), body(0, 5)
    assert order_by_motion([one, two, three], [1.0, 2.0, 2.0]) == [two, three, one]


def test_track_found_again_continues_its_actor() -> None:
    lost, other, again, third = body(0, 10), body(0, 20, 0.8), body(12, 8, seed=1), body(5, 8)
    dropped: Counter[str] = Counter()
    joints, pixels, present = assign_actors([lost, other, again, third], 20, dropped)
    np.testing.assert_array_equal(joints[0, :10], lost.joints)
    np.testing.assert_array_equal(joints[0, 12:], again.joints)
    np.testing.assert_array_equal(joints[1], other.joints)
    assert present[0].tolist() == [True] * 10 + [False] * 2 + [True] * 8 and present[1].all()
    assert not joints[0, 10:12].any() and np.isnan(pixels[0, 10:12]).all()
    assert dropped == {"bodies beside two more active ones": 1}


def test_gaps_of_a_track_stay_gaps() -> None:
    whole = body(0, 6)
    some = whole.take(np.array([True, True, False, False, True, True]))
    joints, _, present = assign_actors([some], 6, Counter())
    assert present[0].tolist() == [True, True, False, False, True, True]
    np.testing.assert_array_equal(joints[0, 4:], whole.joints[4:])


def test_first_spine_is_the_origin_and_absent_actors_stay_zero() -> None:
    joints = np.stack([body(0, 4).joints, body(0, 4, 0.8).joints])
    present = np.array([[False, True, True, True], [True, True, False, True]])
    joints = joints * present[:, :, None, None]
    centred = centre_on_first_spine(joints, present)
    assert not centred[0, 1, 1].any()
    assert not centred[~present].any()
    np.testing.assert_allclose(centred[1, 0], joints[1, 0] - joints[0, 1, 1])


def turned(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    yaw, tilt = 0.7, 0.3
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    rotation = (np.array(about_x) @ np.array(about_y)).astype(np.float32)
    return joints @ rotation.T


def test_aligned_recording_does_not_depend_on_the_view() -> None:
    joints, present = body(0, 4).joints[None], np.ones((1, 4), dtype=np.bool_)
    joints = centre_on_first_spine(joints, present)
    seen = align_view(joints, present)
    np.testing.assert_allclose(align_view(turned(joints), present), seen, atol=1e-5)
    spine, across = seen[0, 0, 1] - seen[0, 0, 0], seen[0, 0, 8] - seen[0, 0, 4]
    np.testing.assert_allclose(spine[[0, 2]], 0, atol=1e-5)
    assert spine[1] > 0 and across[0] > 0 and abs(across[2]) < 1e-5
    lengths = np.linalg.norm(joints[0, 0, 1:] - joints[0, 0, :-1], axis=1)
    kept = np.linalg.norm(seen[0, 0, 1:] - seen[0, 0, :-1], axis=1)
    np.testing.assert_allclose(kept, lengths, rtol=1e-4)


def test_pose_without_a_direction_is_not_rotated() -> None:
    joints, present = np.zeros((1, 2, 25, 3), dtype=np.float32), np.ones((1, 2), dtype=np.bool_)
    np.testing.assert_array_equal(align_view(joints, present), joints)


def test_cleaned_recording_holds_the_actors_of_the_kept_frames() -> None:
    # Frames 15 and 16 show only the third body, which moves least, 20 to 23 only a short one.
    bodies = body(2, 13), body(2, 13, 0.8), body(2, 15, 1.6), body(20, 4)
    for number, factor in enumerate((1.2, 1.1, 1.0, 1.0)):
        bodies[number].joints[:] *= factor
    cleaned = clean_recording(Recording(30, bodies), "file")
    assert cleaned.frames.tolist() == list(range(2, 15))
    assert cleaned.joints.shape == (2, 13, 25, 3) and cleaned.pixels.shape == (2, 13, 25, 2)
    np.testing.assert_array_equal(cleaned.joints[0], bodies[0].joints - bodies[0].joints[0, 1])
    np.testing.assert_array_equal(cleaned.pixels[1], bodies[1].pixels)
    assert cleaned.dropped == {
        "bodies beside two more active ones": 1,
        "bodies seen in 11 frames or fewer": 1,
        "frames of dropped bodies alone": 6,
        "frames without bodies": 11,
    }


def test_single_actor_is_one_body_and_unseen_pixels_are_unknown() -> None:
    alone = body(0, 20)
    alone.pixels[3, 7, 0] = np.inf
    cleaned = clean_recording(Recording(20, (alone,)), "file", align=True)
    assert cleaned.joints.shape == (1, 20, 25, 3) and not cleaned.dropped
    assert np.argwhere(np.isnan(cleaned.pixels)).tolist() == [[0, 3, 7, 0], [0, 3, 7, 1]]
    spine = cleaned.joints[0, 0, 1] - cleaned.joints[0, 0, 0]
    np.testing.assert_allclose(spine[[0, 2]], 0, atol=1e-5)


def test_recording_that_shows_nobody_is_named() -> None:
    lost = body(0, 5)
    lost.joints[:, 3] = np.nan
    for bodies, reason in (((), "body in any"), ((lost,), "body whose joints are all numbers")):
        with pytest.raises(InputError, match=f"^file shows no {reason}"):
            clean_recording(Recording(5, bodies), "file")
