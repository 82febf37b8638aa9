"""Missing joints against values by hand, and against a plain loop over frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.skeleton.missing import OnMissing, complete, known_joints

COCO = get_layout("coco_17")
NOSE, LEFT_EYE, LEFT_KNEE, LEFT_ANKLE = (
    COCO.joint(name) for name in ("nose", "left_eye", "left_knee", "left_ankle")
)


def poses(bodies: int = 1, frames: int = 6) -> NDArray[np.float32]:
    """Return joints of which each coordinate is another number above 0."""
    count = bodies * frames * 17 * 2
    return np.arange(1, count + 1, dtype=np.float32).reshape(bodies, frames, 17, 2)


def completed(joints: NDArray[np.float32], how: OnMissing) -> NDArray[np.float32]:
    return complete(joints, known_joints(joints), COCO, how, "a.npy").joints


def test_whole_clip_is_kept_to_the_bit() -> None:
    joints = poses(2)
    done = complete(joints, known_joints(joints), COCO, "refuse", "a.npy")
    np.testing.assert_array_equal(done.joints, joints)
    assert done.known.all() and not done.missing.any()
    assert (done.first, done.bodies, done.counts) == (0, (0, 1), {})


@pytest.mark.parametrize("lost", [0.0, -1.0, np.nan])
def test_gaps_are_held_or_interpolated(lost: float) -> None:
    joints = poses()
    whole = joints.copy()
    joints[0, 2:4, LEFT_KNEE] = lost
    joints[0, :1, NOSE] = lost
    joints[0, 5:, LEFT_EYE] = lost
    for how, knee in (
        ("hold", [whole[0, 1, LEFT_KNEE]] * 2),
        ("interpolate", [whole[0, 2, LEFT_KNEE], whole[0, 3, LEFT_KNEE]]),  # they move evenly
    ):
        filled = completed(joints, how)  # type: ignore[arg-type]
        np.testing.assert_allclose(filled[0, 2:4, LEFT_KNEE], knee, rtol=1e-6)
        np.testing.assert_array_equal(filled[0, 0, NOSE], whole[0, 1, NOSE])
        np.testing.assert_array_equal(filled[0, 5, LEFT_EYE], whole[0, 4, LEFT_EYE])
    done = complete(joints, known_joints(joints), COCO, "hold", "a.npy")
    assert done.counts == {
        "clips with missing joints": 1,
        "frames with missing joints": 4,
        "missing positions of joints": 4,
    }
    assert int(done.missing.sum()) == 4 and done.missing[0, 2, LEFT_KNEE]


def test_missing_joints_are_refused_with_the_remedy() -> None:
    joints = poses()
    joints[0, 3, LEFT_KNEE] = 0
    message = r"a\.npy: 1 positions in 1 of 6 frames .* first left_knee in frame 3: give --missing"
    with pytest.raises(InputError, match=message):
        completed(joints, "refuse")


def test_joint_that_is_never_known_takes_the_place_of_the_nearest() -> None:
    joints = poses()
    joints[0, :, LEFT_ANKLE] = 0
    np.testing.assert_array_equal(
        completed(joints, "hold")[0, :, LEFT_ANKLE], joints[0, :, LEFT_KNEE]
    )


def test_joints_that_are_always_zero_are_known() -> None:
    joints = poses()
    joints[0, :, NOSE] = 0
    known = known_joints(joints, frozenset({NOSE}))
    done = complete(joints, known, COCO, "refuse", "a.npy")
    np.testing.assert_array_equal(done.joints, joints)


def test_low_confidence_is_missing() -> None:
    joints, confidence = poses(), np.ones((1, 6, 17), np.float32)
    confidence[0, 2, LEFT_KNEE], confidence[0, 3, NOSE] = 0.2, np.nan
    missing = ~known_joints(joints, frozenset(), confidence, 0.3)
    assert np.argwhere(missing).tolist() == [[0, 2, LEFT_KNEE], [0, 3, NOSE]]


def test_padding_is_cut_off_and_empty_bodies_left_out() -> None:
    joints = np.zeros((3, 20, 17, 2), np.float32)
    joints[1, 3:9] = poses()[0]
    joints[2, 5:7] = poses(frames=2)[0]
    done = complete(joints, known_joints(joints), COCO, "refuse", "a.npy")
    assert (done.first, done.bodies, done.joints.shape) == (3, (1, 2), (2, 6, 17, 2))
    np.testing.assert_array_equal(done.joints, joints[1:, 3:9])
    assert list(done.counts.values()) == [14, 1]
    with pytest.raises(InputError, match=r"a\.npy shows nobody: in each of its 20 frames"):
        completed(joints * 0, "hold")


def test_frame_without_anybody_is_missing_and_one_without_a_second_body_is_not() -> None:
    joints = poses(2)
    joints[0, 2] = joints[1, 2:4] = 0
    filled = completed(joints, "hold")
    np.testing.assert_array_equal(filled[0, 2], joints[0, 1])
    np.testing.assert_array_equal(filled[1, 2], joints[1, 1])
    assert not filled[1, 3].any()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), how=st.sampled_from(["hold", "interpolate"]))
def test_filling_equals_a_loop_over_frames(seed: int, how: OnMissing) -> None:
    random = np.random.default_rng(seed)
    joints = random.normal(size=(2, 12, 17, 2)).astype(np.float32)
    joints[random.random((2, 12, 17)) < 0.4] = 0
    joints[:, [0, -1], 5] = 1  # both bodies are present from the first to the last frame
    joints[:, :, 6] += 1
    known = known_joints(joints)
    filled = completed(joints, how)
    for m, v in np.ndindex(2, 17):
        at = np.flatnonzero(known[m, :, v])
        for t in range(12):
            if not known[m, t].any() or not len(at):
                continue
            if how == "hold":
                before = at[at <= t]
                expected = joints[m, before[-1] if len(before) else at[0], v]
            else:
                expected = [np.interp(t, at, joints[m, at, v, c]) for c in range(2)]
            np.testing.assert_allclose(filled[m, t, v], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mark", [-100.0, 9999.0, 1e6, 0.5])
def test_another_number_that_stands_for_several_joints_is_a_mark(mark: float) -> None:
    joints = np.random.default_rng(1).normal(size=(1, 6, 20, 3)).astype(np.float32)
    joints[0, 2, 3] = joints[0, 3, 3] = joints[0, 5, 7] = mark
    known = known_joints(joints)
    assert np.argwhere(~known).tolist() == [[0, 2, 3], [0, 3, 3], [0, 5, 7]]


def test_a_number_that_is_seldom_or_of_one_joint_alone_is_a_position() -> None:
    joints = np.random.default_rng(1).normal(size=(1, 6, 20, 3)).astype(np.float32)
    joints[0, :, 4] = 5.0  # a joint that rests
    joints[0, 0, 6] = joints[0, 1, 7] = 8.0
    assert known_joints(joints).all()
