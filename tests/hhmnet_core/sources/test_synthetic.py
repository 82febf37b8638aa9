"""The synthetic data set: the same for a seed, bodies that hold together, every class there."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from hhmnet_core.data.clips import Clip, check_clip
from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources import synthetic
from hhmnet_core.sources._figure import Body, Pose, joints_of

LAYOUT = get_layout(synthetic.LAYOUT)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return list(synthetic.Recordings().clips())


def of_class(clips: list[Clip], name: str) -> list[Clip]:
    """The clips of a class that last long enough to show it."""
    label = synthetic.CLASS_NAMES.index(name)
    return [clip for clip in clips if clip.label == label and clip.joints.shape[1] > 5]


def rises(clip: Clip, joint: str) -> np.ndarray:
    """(M, T) a joint's height, less that in the first frame."""
    height_mt = clip.joints[:, :, LAYOUT.joint(joint), 1]
    difference: np.ndarray = height_mt - height_mt[:, :1]
    return difference


def content(clips: list[Clip]) -> str:
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(clip.sample_id.encode() + np.ascontiguousarray(clip.joints).tobytes())
    return digest.hexdigest()


def test_seed_decides_the_clips() -> None:
    one, again, other = (list(synthetic.Recordings(seed, 2).clips()) for seed in (1, 1, 2))
    assert content(one) == content(again) != content(other)


def test_every_clip_can_be_trained_on(clips: list[Clip]) -> None:
    for clip in clips:
        check_clip(clip, LAYOUT, len(synthetic.CLASS_NAMES))
    assert len({clip.sample_id for clip in clips}) == len(clips) == 1080


def test_classes_subjects_and_cameras_are_balanced(clips: list[Clip]) -> None:
    cells = Counter((clip.label, clip.subject, clip.camera) for clip in clips)
    assert len(cells) == 18 * 10 * 3
    assert set(cells.values()) == {2}


def test_lengths_and_bodies_are_ragged(clips: list[Clip]) -> None:
    lengths = [clip.joints.shape[1] for clip in clips]
    assert min(lengths) == 1
    assert max(lengths) == 120
    assert 0 < sum(length <= 5 for length in lengths) < 0.03 * len(clips)
    bodies = {synthetic.CLASS_NAMES[c.label]: c.joints.shape[0] for c in clips}
    assert {name for name, number in bodies.items() if number == 2} == {"shake hands", "push"}


def test_people_are_life_sized_and_before_the_camera(clips: list[Clip]) -> None:
    for clip in of_class(clips, "wave left"):
        size = np.median(np.ptp(clip.joints[0, :, :, 1], axis=1))
        assert 1.1 < size < 2.1
        assert 1.0 < clip.joints[..., 2].mean() < 5.0


def test_left_is_left_and_right_is_right(clips: list[Clip]) -> None:
    for side, other in (("left", "right"), ("right", "left")):
        for name, end in (("wave", "wrist"), ("kick", "ankle")):
            moved = [
                np.ptp(rises(clip, f"{side}_{end}")) > np.ptp(rises(clip, f"{other}_{end}"))
                for clip in of_class(clips, f"{name} {side}")
            ]
            assert np.mean(moved) > 0.85


def test_sitting_goes_down_and_standing_goes_up(clips: list[Clip]) -> None:
    for name, sign in (("sit down", -1), ("stand up", 1), ("lie down", -1), ("fall", -1)):
        changes = [rises(clip, "hip_centre")[0, -1] for clip in of_class(clips, name)]
        assert np.mean(np.sign(changes) == sign) > 0.95


def test_bones_keep_their_length_whatever_the_pose() -> None:
    random = np.random.default_rng(3)
    body = Body.of(np.array([1.6, 1.9]), random.uniform(0.9, 1.1, (2, Body.num_bones())))
    pose = Pose.standing(2, 30)
    for name, value in vars(pose).items():
        setattr(pose, name, value + random.normal(0, 0.7, value.shape))
    joints = joints_of(pose, body)
    assert np.isfinite(joints).all()
    fixed = ((0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7), (12, 13), (13, 14), (14, 15))
    expected = ("waist", "back", "neck", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
    for (one, two), bone in zip(fixed, expected, strict=True):
        lengths = np.linalg.norm(joints[:, :, one] - joints[:, :, two], axis=-1)
        np.testing.assert_allclose(lengths, getattr(body, bone)[:, None] + np.zeros(30), rtol=2e-3)


@pytest.mark.parametrize(("seed", "number"), [(-1, 60), (1, 0)])
def test_bad_arguments_are_refused_at_once(seed: int, number: int) -> None:
    with pytest.raises(InputError, match="must be"):
        synthetic.Recordings(seed, number)


def test_clips_of_a_seed_are_those_of_the_published_floors() -> None:
    """A changed motion is another data set: change the reader's version and docs/data.md too."""
    assert content(list(synthetic.Recordings(1, 2).clips())) == (
        "d518d5565766a84c9c2b8a04e8bd755eaa34b3bbb3b2071a88d228de2355f1c1"
    )


def test_nearest_neighbour_does_not_do(clips: list[Clip]) -> None:
    labels = np.array([clip.label for clip in clips])
    features = np.stack([resampled(clip) for clip in clips])
    for field, protocol in zip(("subject", "camera"), synthetic.PROTOCOLS.values(), strict=True):
        group = np.array([getattr(clip, field) for clip in clips])
        train, test = (np.isin(group, rule[field]) for rule in (protocol.train, protocol.test))
        distances = (features[train] ** 2).sum(1) - 2 * features[test] @ features[train].T
        found = labels[train][distances.argmin(1)] == labels[test]
        assert 0.6 < found.mean() < 0.72


def resampled(clip: Clip) -> np.ndarray:
    """Body 0 in 32 frames, from the shoulder centre of the first, flat."""
    joints_tvc = clip.joints[0].astype(np.float64)
    at = np.linspace(0, len(joints_tvc) - 1, 32)
    low = at.astype(int)
    high, share = np.minimum(low + 1, len(joints_tvc) - 1), (at - low)[:, None, None]
    frames = joints_tvc[low] * (1 - share) + joints_tvc[high] * share
    flat: np.ndarray = (frames - frames[0, LAYOUT.centre]).ravel()
    return flat
