"""Boxes around people and their overlap, against a loop."""

import numpy as np

from hhmnet_core.poses.boxes import boxes_around, overlaps


def test_boxes_hold_the_sure_joints() -> None:
    pixels = np.array([[[1, 2], [5, 9], [100, 100]], [[3, 3], [4, 8], [np.nan, 0]]], np.float32)
    sure = np.array([[0.9, 0.05, 0.01], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_array_equal(boxes_around(pixels, sure), [[1, 2, 5, 9], [3, 3, 4, 8]])


def test_overlaps_equal_those_of_a_loop() -> None:
    random = np.random.default_rng(0)
    corner = random.uniform(0, 10, (12, 2))
    boxes = np.concatenate([corner, corner + random.uniform(0, 8, (12, 2))], -1)
    shares = overlaps(boxes[:5], boxes)
    for i, a in enumerate(boxes[:5]):
        for j, b in enumerate(boxes):
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
            expected = width * height / (area - width * height)
            np.testing.assert_allclose(shares[i, j], expected, atol=1e-9)
    assert np.diag(shares).min() > 0.999
    assert overlaps(boxes[:0], boxes).shape == (0, 12)
