"""Regions of bodies and their images, against closed forms and a loop."""

import math

import numpy as np
import pytest

from hhmnet_core.poses.blazepose.regions import MARGIN, Region, shrink


def test_region_is_twice_the_distance_of_its_points_with_a_margin() -> None:
    upright = Region.around(np.array([100, 200]), np.array([100, 120]))
    assert (upright.x, upright.y, upright.side) == (100, 200, pytest.approx(2 * 80 * MARGIN))
    assert upright.angle == pytest.approx(0)
    lying = Region.around(np.array([100, 200]), np.array([180, 200]))
    assert lying.angle == pytest.approx(math.pi / 2)  # the head is on the right
    upside_down = Region.around(np.array([0, 0]), np.array([0, 50]))
    assert abs(upside_down.angle) == pytest.approx(math.pi)
    assert Region.around(np.array([5, 5]), np.array([5, 5])).side == 2


def test_shares_of_a_region_are_pixels_of_the_image() -> None:
    corners = np.array([[0, 0], [1, 0], [0.5, 0.5], [0, 1]])
    np.testing.assert_allclose(
        Region(50, 40, 20).to_image(corners), [[40, 30], [60, 30], [50, 40], [40, 50]]
    )
    turned = Region(50, 40, 20, math.pi / 2).to_image(corners)
    np.testing.assert_allclose(turned, [[60, 30], [60, 50], [50, 40], [40, 30]], atol=1e-5)


def test_the_top_of_a_region_is_where_the_head_is() -> None:
    hips, head = np.array([100.0, 200.0]), np.array([160.0, 130.0])
    region = Region.around(hips, head)
    above = region.to_image(np.array([0.5, 0.5 - 0.5 / MARGIN]))
    np.testing.assert_allclose(above, head, atol=1e-3)
    up = region.turn(np.array([[0.0, -1.0, 0.5]]))[0]
    np.testing.assert_allclose(up[:2], (head - hips) / np.linalg.norm(head - hips), atol=1e-6)
    assert up[2] == 0.5


def sample(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return the value between the centres of pixels, the border repeated."""
    height, width = image.shape[:2]
    x, y = min(max(x - 0.5, 0), width - 1), min(max(y - 0.5, 0), height - 1)
    left, top = int(x), int(y)
    right, below = min(left + 1, width - 1), min(top + 1, height - 1)
    upper = (1 - (x - left)) * image[top, left] + (x - left) * image[top, right]
    lower = (1 - (x - left)) * image[below, left] + (x - left) * image[below, right]
    return (1 - (y - top)) * upper + (y - top) * lower


@pytest.mark.parametrize("region", [Region(14, 9, 12, 0.4), Region(2, 20, 30, -2.0)])
def test_image_of_a_region_equals_a_loop(region: Region) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 31, 3), np.uint8)
    cut = region.cut(image, 8)
    for row in range(8):
        for column in range(8):
            x, y = region.to_image(np.array([(column + 0.5) / 8, (row + 0.5) / 8]))
            np.testing.assert_allclose(
                cut[row, column], sample(image.astype(float), float(x), float(y)), atol=2e-2
            )


def test_whole_image_is_shrunk_into_the_middle_of_a_square() -> None:
    image = np.full((50, 100, 3), 200, np.uint8)
    small = shrink(image, 20)
    assert small.shape == (20, 20, 3)
    np.testing.assert_array_equal(small[5:15], 200)
    assert not small[:5].any() and not small[15:].any()
    assert shrink(np.zeros((1, 500, 3), np.uint8), 20).shape == (20, 20, 3)
    checks = np.indices((400, 400)).sum(0) % 2 * 255
    grey = shrink(np.repeat(checks[..., None], 3, -1).astype(np.uint8), 20)
    assert abs(grey - 127).max() < 3
    assert Region.whole(100, 50) == Region(50, 25, 100)
