"""Anchors against the loop of MediaPipe's calculator."""

import numpy as np

from hhmnet_core.poses.blazepose.anchors import anchors_a2


def test_anchors_equal_those_of_a_loop() -> None:
    expected, layer, strides = [], 0, (8, 16, 32, 32, 32)
    while layer < len(strides):
        last, count = layer, 0
        while last < len(strides) and strides[last] == strides[layer]:
            last, count = last + 1, count + 2
        cells = -(-224 // strides[layer])
        for y in range(cells):
            for x in range(cells):
                expected += [((x + 0.5) / cells, (y + 0.5) / cells)] * count
        layer = last
    assert len(expected) == 2254
    np.testing.assert_allclose(anchors_a2(), expected, atol=1e-7)
