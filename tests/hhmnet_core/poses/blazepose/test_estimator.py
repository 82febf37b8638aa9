"""BlazePose itself, on the picture of a person that moves about."""

import numpy as np
import pytest
from person_videos import NOSE, SIZE, astronaut, encode, moving, scene

from hhmnet_core.errors import InputError
from hhmnet_core.poses.blazepose.estimator import BlazePose, BlazePoseConfig
from hhmnet_core.poses.tracks import PoseTracks
from hhmnet_core.poses.video import poses_of_video

STEP, COUNT = 4, 30


@pytest.fixture(scope="module")
def blazepose(pose_models: None) -> BlazePose:
    return BlazePose()


@pytest.fixture(scope="module")
def tracks(blazepose: BlazePose) -> PoseTracks:
    return poses_of_video(encode(moving(COUNT, STEP)), blazepose)


def joint(tracks: PoseTracks, name: str, body: int = 0) -> np.ndarray:
    return tracks.pixels[body, :, tracks.layout.joint(name)]


def test_the_person_is_found_and_the_nose_is_in_the_face(tracks: PoseTracks) -> None:
    assert tracks.pixels.shape == (1, COUNT, 33, 2)
    found = np.isfinite(tracks.pixels[0]).all((1, 2))
    assert found.mean() >= 0.9
    face = np.array([[8 + STEP * t + NOSE[0] * SIZE, 30 + NOSE[1] * SIZE] for t in range(COUNT)])
    distance = np.linalg.norm(joint(tracks, "nose") - face, axis=-1)[found]
    assert np.median(distance) < 0.03 * SIZE and distance.max() < 0.08 * SIZE


def test_joints_move_as_the_picture_does(tracks: PoseTracks) -> None:
    for name in ("nose", "left_eye", "left_shoulder", "right_shoulder"):
        x, y = joint(tracks, name).T
        slope = np.polyfit(np.arange(COUNT), x, 1)[0]
        assert abs(slope - STEP) < 0.5 and np.ptp(y) < 0.15 * SIZE


def test_sides_and_axes(tracks: PoseTracks) -> None:
    """Who faces the camera has the left side on the right of the image; metres have y up."""
    assert (joint(tracks, "left_shoulder")[:, 0] > joint(tracks, "right_shoulder")[:, 0]).all()
    assert tracks.world is not None
    world = {name: tracks.world[0, :, tracks.layout.joint(name)] for name in tracks.layout.joints}
    assert (world["left_shoulder"][:, 0] > world["right_shoulder"][:, 0]).all()
    assert (world["nose"][:, 1] > world["left_shoulder"][:, 1]).all()
    assert (world["left_shoulder"][:, 1] > world["left_hip"][:, 1]).all()
    assert (world["nose"][:, 2] < world["left_ear"][:, 2]).all()  # the nose is nearer
    width = np.linalg.norm(world["left_shoulder"] - world["right_shoulder"], axis=-1)
    assert 0.2 < np.median(width) < 0.5


def test_visible_joints_are_surer_than_those_outside_the_image(tracks: PoseTracks) -> None:
    sure = tracks.confidence[0].mean(0)
    assert sure[tracks.layout.joint("nose")] > 0.9 > 0.2 > sure[tracks.layout.joint("left_ankle")]


@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_person_has_turned_joints(blazepose: BlazePose, quarters: int) -> None:
    """The region is turned upright for the network, and what it returns is turned back."""
    blazepose.reset()
    square = np.pad(scene((80, 20)), ((60, 60), (0, 0), (0, 0)))
    people = blazepose.estimate(np.ascontiguousarray(np.rot90(square, quarters)))
    assert len(people) == 1 and people.world is not None
    up = [(0, 1), (-1, 0), (0, -1), (1, 0)][quarters]
    head = people.world[0, 0, :2] - people.world[0, 23:25, :2].mean(0)
    assert head @ up > 0.9 * np.linalg.norm(head) > 0.3
    across = people.world[0, 11, :2] - people.world[0, 12, :2]  # to the left shoulder
    assert across @ (up[1], -up[0]) > 0.9 * np.linalg.norm(across) > 0.15
    pixels = people.pixels[0, 0] - people.pixels[0, 11:13].mean(0)
    assert pixels @ (up[0], -up[1]) > 0.5 * np.linalg.norm(pixels)


def test_two_people_become_two_tracks(blazepose: BlazePose) -> None:
    images = [scene((10 + 2 * t, 10), (380 - 2 * t, 20), width=720) for t in range(14)]
    tracks = poses_of_video(encode(images), blazepose)
    assert tracks.num_bodies == 2
    noses = np.stack([joint(tracks, "nose", body) for body in range(2)])
    assert np.isfinite(noses).all(-1).mean() >= 0.9
    noses = noses[np.argsort(noses[:, 0, 0])]
    for nose, start, step in ((noses[0], 10, 2), (noses[1], 380, -2)):
        assert abs(np.nanmean(nose[:, 0] - step * np.arange(14)) - start - NOSE[0] * SIZE) < 16


def test_a_person_who_comes_in_later_is_found(blazepose: BlazePose) -> None:
    images = [scene((380, 20), *([(10, 10)] if t > 3 else []), width=720) for t in range(16)]
    blazepose.reset()
    counts = [len(blazepose.estimate(image)) for image in images]
    assert counts[:4] == [1] * 4 and counts[-1] == 2


def test_videos_do_not_influence_each_other(blazepose: BlazePose, tracks: PoseTracks) -> None:
    poses_of_video(encode([scene((100, 20))] * 3), blazepose)
    again = poses_of_video(encode(moving(COUNT, STEP)), blazepose)
    np.testing.assert_array_equal(again.pixels, tracks.pixels)


@pytest.mark.parametrize("shape", [(16, 16), (1, 1), (300, 2), (2160, 3840)])
def test_images_of_any_size_without_people_show_nobody(
    blazepose: BlazePose, shape: tuple[int, int]
) -> None:
    blazepose.reset()
    people = blazepose.estimate(np.full((*shape, 3), 90, np.uint8))
    assert len(people) == 0 and people.pixels.shape == (0, 33, 2)


def test_a_person_in_a_large_image_is_found(blazepose: BlazePose) -> None:
    large = np.kron(astronaut(), np.ones((6, 6, 1), np.uint8))
    blazepose.reset()
    people = blazepose.estimate(np.pad(large, ((120, 120), (960, 960), (0, 0))))
    assert len(people) == 1
    expected = np.array([960, 120]) + 6 * SIZE * np.array(NOSE)
    assert np.linalg.norm(people.pixels[0, 0] - expected) < 0.05 * 6 * SIZE


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(InputError, match=r"blazepose\.detect_every must be 1 to 10000, but is 0"):
        BlazePoseConfig(detect_every=0)


def test_fingerprint_names_models_and_settings(pose_models: None) -> None:
    one, other = BlazePoseConfig().fingerprint(), BlazePoseConfig(min_score=0.4).fingerprint()
    assert one["estimator"] == "blazepose/1" and len(one["pose_detection.tflite"]) == 64
    assert {key for key in one if one[key] != other[key]} == {"blazepose.min_score"}


def test_people_found_side_by_side_are_those_found_one_after_the_other() -> None:
    images = [scene((10 + 4 * n, 20), (360 - 4 * n, 40), width=720) for n in range(4)]
    one, two = BlazePoseConfig().open(), BlazePoseConfig().open(threads=2)
    for image in images:
        alone, together = one.estimate(image), two.estimate(image)
        assert len(alone) == len(together) == 2
        np.testing.assert_array_equal(alone.pixels, together.pixels)
        assert alone.world is not None and together.world is not None
        np.testing.assert_array_equal(alone.world, together.world)
