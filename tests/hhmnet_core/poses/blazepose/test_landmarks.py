"""Landmarks against closed forms; refinement against a loop; axes of pixels and metres."""

import math

import numpy as np

from hhmnet_core.poses.blazepose.landmarks import Outputs, decode_pose, refine
from hhmnet_core.poses.blazepose.regions import MARGIN, Region

COLD = np.full((64, 64, 39), -20, np.float32)


def outputs(points: np.ndarray, world: np.ndarray, heat: np.ndarray = COLD) -> Outputs:
    landmarks = np.zeros((39, 5), np.float32)
    landmarks[:, :2], landmarks[:, 3], landmarks[:, 4] = points, 2.0, -1.0
    return Outputs(landmarks, 0.9, heat, world.astype(np.float32))


def some_points() -> np.ndarray:
    points = np.random.default_rng(0).uniform(40, 200, (39, 2))
    points[33], points[34] = (128, 128), (128, 28)
    return points


def test_pose_in_an_upright_region() -> None:
    points, world = some_points(), np.random.default_rng(1).normal(size=(39, 3))
    pose = decode_pose(outputs(points, world), Region(300, 200, 512))
    np.testing.assert_allclose(pose.pixels, 2 * points[:33] + (44, -56), atol=1e-3)
    np.testing.assert_allclose(pose.world, world[:33] * (1, -1, 1), atol=1e-6)
    np.testing.assert_allclose(pose.confidence, 1 / (1 + math.e), atol=1e-6)
    assert pose.present == 0.9
    assert pose.next_region == Region(300, 200, 2 * 200 * MARGIN, 0)


def test_up_is_up_and_right_is_right_however_the_region_is_turned() -> None:
    """A person lies with the head to the right: the crop shows it upright, the result must not."""
    points, world = some_points(), np.zeros((39, 3))
    points[0], world[0] = (128, 28), (0, -0.6, -0.1)  # the nose, above the hips in the crop
    pose = decode_pose(outputs(points, world), Region(300, 200, 512, math.pi / 2))
    np.testing.assert_allclose(pose.pixels[0], [500, 200], atol=1e-3)
    np.testing.assert_allclose(pose.world[0], [0.6, 0, -0.1], atol=1e-6)
    np.testing.assert_allclose(pose.next_region.angle, math.pi / 2, atol=1e-6)


def refine_by_a_loop(point: np.ndarray, heat: np.ndarray) -> np.ndarray:
    column, row = int(point[0] * 64), int(point[1] * 64)
    if not (0 <= column < 64 and 0 <= row < 64):
        return point
    total, sums, best = 0.0, np.zeros(2), 0.0
    for y in range(max(0, row - 3), min(64, row + 4)):
        for x in range(max(0, column - 3), min(64, column + 4)):
            value = 1 / (1 + math.exp(-float(heat[y, x])))
            total, sums, best = total + value, sums + value * np.array([x, y]), max(best, value)
    return sums / 64 / total if best >= 0.5 else point


def test_refinement_equals_a_loop() -> None:
    random = np.random.default_rng(4)
    points = random.uniform(-0.1, 1.1, (39, 2))
    heat = random.normal(-6, 4, (64, 64, 39)).astype(np.float32)
    heat[..., :5] = -20  # without heat they stay
    refined = refine(points, heat)
    expected = np.stack([refine_by_a_loop(points[i], heat[..., i]) for i in range(39)])
    np.testing.assert_allclose(refined, expected, atol=1e-9)
    np.testing.assert_array_equal(refined[:5], points[:5])
    assert abs(refined - points).max() > 0.005
