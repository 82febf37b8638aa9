"""The anchors of the detector: the points of the image that its outputs refer to.

After MediaPipe's `ssd_anchors_calculator.cc` with the options of `pose_detection_cpu.pbtxt`: layers
of strides 8, 16, 32, 32 and 32 on 224 x 224 pixels, anchors of one fixed size in the middle of each
cell, two for each layer (aspect ratio 1 and the interpolated one). Layers of one stride share their
cells.
"""

from functools import cache
from itertools import groupby

import numpy as np

from hhmnet_core.skeleton.missing import Float32Array

SIZE = 224  # pixels of the detector's image
STRIDES = (8, 16, 32, 32, 32)
ANCHORS_PER_LAYER = 2


@cache
def anchors_a2() -> Float32Array:
    """Return the anchors (2254, 2), x and y, in shares of the image."""
    layers = []
    for stride, same in groupby(STRIDES):
        cells = SIZE // stride
        middles = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(middles, middles, indexing="ij")
        grid = np.stack([x, y], -1).reshape(-1, 2)
        layers.append(grid.repeat(ANCHORS_PER_LAYER * len(list(same)), axis=0))
    anchors = np.concatenate(layers).astype(np.float32)
    anchors.flags.writeable = False
    return anchors
