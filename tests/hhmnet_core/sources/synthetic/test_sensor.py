"""The depth camera: viewpoints that keep distances, noise, lost joints, and short clips."""

import numpy as np

from hhmnet_core.sources.synthetic.sensor import NUM_CAMERAS, sense, shorten_some, to_camera


def test_cameras_keep_distances_and_look_at_the_figure() -> None:
    world = np.random.default_rng(0).normal(0, 0.4, (30, 2, 5, 20, 3)) + np.array([0, 0.9, 0])
    camera_n = np.arange(30) % NUM_CAMERAS
    joints, up_nc, floor_n = to_camera(world, camera_n, np.random.default_rng(1))
    before = np.linalg.norm(world[:, :, :, 1:] - world[:, :, :, :1], axis=-1)
    after = np.linalg.norm(joints[:, :, :, 1:] - joints[:, :, :, :1], axis=-1)
    np.testing.assert_allclose(after, before)
    assert ((joints[..., 2].mean((1, 2, 3)) > 1.8) & (joints[..., 2].mean((1, 2, 3)) < 4)).all()
    # The height over the floor is the world's y.
    height = np.einsum("nmtvc,nc->nmtv", joints, up_nc) - floor_n[:, None, None, None]
    np.testing.assert_allclose(height, world[..., 1], atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(up_nc, axis=1), 1)


def test_noise_is_centimetres_and_larger_at_the_ends_of_limbs() -> None:
    true = np.zeros((400, 1, 10, 20, 3)) + np.array([0, 0, 3.0])
    sensed = sense(true, np.full(400, 10), np.random.default_rng(0))
    deviation = np.median(np.abs(sensed - true), axis=(0, 1, 2, 4))
    ends = [6, 7, 10, 11, 14, 15, 18, 19]
    others = np.setdiff1d(np.arange(20), ends)
    assert deviation[ends].min() > 1.5 * deviation[others].max()
    assert 0.003 < deviation[others].mean() < 0.01


def test_lost_joints_stand_still() -> None:
    true = np.cumsum(np.full((300, 1, 40, 20, 3), 0.1), axis=2)  # every joint moves
    sensed = sense(true, np.full(300, 40), np.random.default_rng(0))
    still = (np.diff(sensed, axis=2) == 0).all(-1)
    joints_with_losses = still.any(2).sum((1, 2))
    assert joints_with_losses.max() == 2 and 0.5 < joints_with_losses.mean() < 1.2


def test_values_are_rounded_to_a_tenth_of_a_millimetre() -> None:
    true = np.random.default_rng(0).normal(size=(3, 1, 4, 20, 3))
    sensed = sense(true, np.full(3, 4), np.random.default_rng(1))
    np.testing.assert_array_equal(sensed, np.round(sensed, 4))


def test_few_clips_are_shortened_within_their_frames() -> None:
    frames_n = np.full(20_000, 50)
    first_n = shorten_some(frames_n, np.random.default_rng(0))
    short = frames_n < 50
    assert 0.007 < short.mean() < 0.013
    assert set(frames_n[short]) == {1, 2, 3, 4, 5}
    assert (first_n[~short] == 0).all() and (first_n[short] > 0).all()
    assert (first_n + frames_n <= 50).all()
