"""Skeletons on an empty canvas."""

import numpy as np
import pytest

from hhmnet_core.rendering.canvas import HEIGHT, WIDTH, place_on_canvas
from hhmnet_core.skeleton.layouts import get_layout


@pytest.mark.parametrize("layout", ["kinect_v1_20", "coco_17"])
def test_a_clip_fills_the_canvas_and_keeps_its_shape(layout: str) -> None:
    skeleton = get_layout(layout)
    shape = (2, 5, skeleton.num_joints, skeleton.channels)
    joints = np.random.default_rng(1).normal(3, 40, shape).astype(np.float32)
    pixels = place_on_canvas(joints, skeleton)
    assert pixels.shape == (*shape[:3], 2)
    low, high = pixels.min((0, 1, 2)), pixels.max((0, 1, 2))
    assert (low >= 0).all() and (high <= (WIDTH, HEIGHT)).all()
    assert (low + high) / 2 == pytest.approx((WIDTH / 2, HEIGHT / 2), abs=0.1)
    # One scale for both axes; y is turned where it is up in the data.
    up = -1 if skeleton.channels == 3 else 1
    one, two = joints[0, 0, 0], joints[1, 3, 4]
    scale = (pixels[1, 3, 4] - pixels[0, 0, 0]) / ((two - one)[:2] * (1, up))
    assert scale[0] == pytest.approx(scale[1], rel=1e-3) and scale[0] > 0


def test_absent_bodies_have_no_place() -> None:
    joints = np.ones((2, 3, 20, 3), np.float32)
    joints[1, 1] = 0
    pixels = place_on_canvas(joints, get_layout("kinect_v1_20"))
    assert np.isnan(pixels[1, 1]).all() and np.isfinite(pixels[0]).all()
    assert np.isfinite(pixels[1, [0, 2]]).all()
    assert np.isnan(place_on_canvas(0 * joints, get_layout("kinect_v1_20"))).all()
