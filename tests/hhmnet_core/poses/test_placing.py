"""Poses in metres are placed where a pinhole camera sees them."""

from dataclasses import replace

import numpy as np
from drawn_people import LAYOUT

from hhmnet_core.poses.placing import default_focal, place
from hhmnet_core.poses.tracks import PoseTracks
from hhmnet_core.sources.video_crops import project

WIDTH, HEIGHT, FOCAL = 640, 480, 500.0


def filmed(where: np.ndarray) -> tuple[np.ndarray, PoseTracks]:
    """Return joints (M, T, V, 3) around places (M, T, 3), and an estimator's poses of them."""
    shape = np.random.default_rng(0).normal(0, 0.4, (*where.shape[:2], 33, 3)).astype(np.float32)
    joints = (where[:, :, None] + shape).astype(np.float32)
    pixels = project(joints, FOCAL, WIDTH, HEIGHT)
    sure = np.ones(pixels.shape[:-1], np.float32)
    return joints, PoseTracks(LAYOUT, pixels, shape, sure, WIDTH, HEIGHT)


def test_places_in_front_of_the_camera_are_recovered() -> None:
    steps = np.linspace(0, 1, 20)
    one = np.stack([steps - 1, 0 * steps, np.full(20, 3.0)], -1)
    two = np.stack([0 * steps + 0.5, 0.2 * steps, np.full(20, 4.0)], -1)
    joints, tracks = filmed(np.stack([one, two]))
    np.testing.assert_allclose(place(tracks, FOCAL), joints, atol=2e-3)


def test_absent_people_stay_absent_and_the_rest_is_unchanged() -> None:
    joints, tracks = filmed(np.tile(np.array([0.3, 0.1, 3.0]), (1, 10, 1)))
    assert tracks.world is not None
    for array, value in ((tracks.pixels, np.nan), (tracks.world, np.nan), (tracks.confidence, 0)):
        array[0, 4:6] = value
    placed = place(tracks, FOCAL)
    assert np.isnan(placed[0, 4:6]).all()
    np.testing.assert_allclose(placed[0, :4], joints[0, :4], atol=2e-3)


def test_another_focal_length_changes_the_distance_alone() -> None:
    joints, tracks = filmed(np.tile(np.array([0.3, 0.1, 3.0]), (1, 3, 1)))
    other = place(tracks, 2 * FOCAL)
    poses = [each - each.mean(2, keepdims=True) for each in (joints, other)]
    np.testing.assert_allclose(poses[0], poses[1], atol=1e-4)
    assert 5 < other[..., 2].mean() < 7
    assert default_focal(640, 480) == 640
    np.testing.assert_array_equal(place(tracks), place(tracks, 640.0))


def test_a_pose_in_one_point_gets_some_place() -> None:
    _, tracks = filmed(np.zeros((1, 2, 3)) + 3)
    point = replace(tracks, pixels=np.full_like(tracks.pixels, 10))
    assert np.isfinite(place(point)).all()
