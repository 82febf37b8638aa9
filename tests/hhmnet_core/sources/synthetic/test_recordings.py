"""The synthetic data set: the same for a seed, bodies that hold together, every class there."""

import hashlib
import io
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.synthetic import recordings as synthetic
from hhmnet_core.sources.synthetic.figure import Body, Pose, joints_of
from hhmnet_core.sources.synthetic.motions import ACTIONS
from hhmnet_core.sources.synthetic.scene import FOCAL, HEIGHT, THINGS, WIDTH, Held, Scene, render
from hhmnet_core.sources.video_crops import VideoConfig, project
from hhmnet_core.store.clips import Clip, check_clip

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
    assert len({clip.sample_id for clip in clips}) == len(clips) == 1260


def test_classes_subjects_and_cameras_are_balanced(clips: list[Clip]) -> None:
    cells = Counter((clip.label, clip.subject, clip.camera) for clip in clips)
    assert len(cells) == 21 * 10 * 3
    assert set(cells.values()) == {2}


def test_lengths_and_bodies_are_ragged(clips: list[Clip]) -> None:
    lengths = [clip.joints.shape[1] for clip in clips]
    assert min(lengths) == 1
    assert 100 < max(lengths) <= 120
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
        "08138c74d3f7023d7bf4c01d290b7246a2fe331a48c0b8594df28dfef8343d4c"
    )


def test_nearest_neighbour_does_not_do(clips: list[Clip]) -> None:
    labels = np.array([clip.label for clip in clips])
    features = np.stack([resampled(clip) for clip in clips])
    for field, protocol in zip(("subject", "camera"), synthetic.PROTOCOLS.values(), strict=True):
        group = np.array([getattr(clip, field) for clip in clips])
        train, test = (np.isin(group, rule[field]) for rule in (protocol.train, protocol.test))
        distances = (features[train] ** 2).sum(1) - 2 * features[test] @ features[train].T
        found = labels[train][distances.argmin(1)] == labels[test]
        assert 0.45 < found.mean() < 0.55


def resampled(clip: Clip) -> np.ndarray:
    """Body 0 in 32 frames, from the shoulder centre of the first, flat."""
    joints_tvc = clip.joints[0].astype(np.float64)
    at = np.linspace(0, len(joints_tvc) - 1, 32)
    low = at.astype(int)
    high, share = np.minimum(low + 1, len(joints_tvc) - 1), (at - low)[:, None, None]
    frames = joints_tvc[low] * (1 - share) + joints_tvc[high] * share
    flat: np.ndarray = (frames - frames[0, LAYOUT.centre]).ravel()
    return flat


@pytest.fixture(scope="module")
def filmed() -> list[Clip]:
    """One clip a class, with video."""
    return list(synthetic.Recordings(1, 1, VideoConfig(frames=4, size=64)).clips())


def pictures(clip: Clip) -> list[np.ndarray]:
    assert clip.video
    return [np.asarray(Image.open(io.BytesIO(image))).astype(int) for image in clip.video.images]


def test_video_is_there_and_changes_no_skeleton(filmed: list[Clip]) -> None:
    alone = list(synthetic.Recordings(1, 1).clips())
    assert content(filmed) == content(alone)
    assert not any(clip.video for clip in alone)
    for clip in filmed:
        check_clip(clip, LAYOUT, len(synthetic.CLASS_NAMES))
        assert [image.shape for image in pictures(clip)] == [(64, 64, 3)] * 4


def test_video_is_the_same_for_a_seed_and_in_any_order(filmed: list[Clip]) -> None:
    again = synthetic.Recordings(1, 1, VideoConfig(frames=4, size=64))
    for clip in reversed(filmed):
        other = again.clip(clip.sample_id)
        assert clip.video and other.video and clip.video.images == other.video.images
    elsewhere = next(synthetic.Recordings(2, 1, VideoConfig(frames=4, size=64)).clips())
    assert elsewhere.video and filmed[0].video
    assert elsewhere.video.images != filmed[0].video.images


def test_pictures_are_sharp_and_different(filmed: list[Clip]) -> None:
    first = [pictures(clip)[0] for clip in filmed]
    assert min(image.std() for image in first) > 5
    means = np.stack([image.mean((0, 1)) for image in first])
    assert np.ptp(means, axis=0).min() > 50  # rooms, clothes and light differ


def scene(**changes: object) -> Scene:
    """Somebody with an arm out, 2.5 m away."""
    pose = Pose.standing(1, 1)
    pose.hands[0, 0, 0] = (0.9, 0.1, 0.2)
    body = Body.of(np.array([1.75]), np.ones((1, Body.num_bones())))
    joints = joints_of(pose, body) * [-1, 1, -1] + [0.0, -0.9, 2.5]
    plain = Scene(joints, np.array([0.0, 1.0, 0.0]), -0.9, (3,), None, (1, 2, 3))
    return replace(plain, **changes)  # type: ignore[arg-type]


def picture(of: Scene) -> np.ndarray:
    (image,) = render(of, np.array([0]))
    return image.astype(int)


def test_people_are_drawn_where_their_joints_are() -> None:
    somebody = scene()
    aside = replace(
        somebody, joints=somebody.joints + np.array([50.0, 0.0, 0.0])
    )  # out of the picture
    shown, empty = (picture(each) for each in (somebody, aside))
    at = project(somebody.joints[0, 0].astype(np.float32), FOCAL, WIDTH, HEIGHT).round().astype(int)
    changed = np.abs(empty - shown).max(-1) > 25
    drawn = [changed[y - 1 : y + 2, x - 1 : x + 2].mean() > 0.5 for x, y in at]
    assert np.mean(drawn) > 0.8
    assert changed.mean() < 0.2


def test_people_change_their_clothes() -> None:
    joints = [scene(key=key) for key in ((1, 2, 3), (1, 2, 3), (1, 2, 4))]
    same, again, other = (picture(each) for each in joints)
    assert np.array_equal(same, again) and not np.array_equal(same, other)


@pytest.mark.parametrize("thing", sorted(THINGS))
def test_things_are_in_the_hand(thing: str) -> None:
    empty, holding = (picture(scene(held=held)) for held in (None, Held(thing, 0)))
    y, x = np.nonzero(np.abs(empty - holding).max(-1) > 25)
    assert len(x) >= 20  # pixels
    hand = project(scene().joints[0, 0, 7].astype(np.float32), FOCAL, WIDTH, HEIGHT)
    reach = FOCAL * 0.5 / 2.5
    assert np.hypot(x - hand[0], y - hand[1]).max() < reach


def test_some_classes_share_their_motion_and_some_their_thing() -> None:
    named = {action.name: action for action in ACTIONS}
    for one, other in (
        ("drink", "eat"),
        ("hammer slowly", "shake a maraca slowly"),
        ("hammer fast", "shake a maraca fast"),
    ):
        first, second = named[one], named[other]
        assert (first.act, first.seconds) == (second.act, second.seconds)
        assert {first.thing, second.thing} <= THINGS.keys() and first.thing != second.thing
    for thing in ("hammer", "maraca"):
        slowly, fast = (action for action in ACTIONS if action.thing == thing)
        assert slowly.act is not fast.act
