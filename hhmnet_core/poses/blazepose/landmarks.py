"""Decoding the output of the landmark network into a pose in the image and in metres.

After MediaPipe's calculators `tensors_to_landmarks`, `refine_landmarks_from_heatmap`,
`landmark_projection` and `world_landmark_projection`, with the options of
`pose_landmark_by_roi_post_processing.pbtxt`. MediaPipe's metres have y down; here it is up.

Axes: L = 39 landmarks, of which the first V = 33 are joints and the next 2 alignment points.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.poses.blazepose.regions import Region
from hhmnet_core.skeleton.missing import Float32Array

SIZE = 256  # pixels of the network's image
JOINTS, LANDMARKS = 33, 39
KERNEL = 7  # cells of the heat map around a landmark
MIN_HEAT = 0.5  # largest value there that is trusted


@dataclass(frozen=True)
class Outputs:
    """What the landmark network returns for a region.

    Attributes:
        landmarks: (L, 5) x, y and depth in pixels of its image, logits of visibility and presence.
        present: Probability that the region shows a person.
        heat: (H, W, L) logits of heat maps.
        world: (L, 3) metres from the middle of the hips, y down, in the axes of the region.
    """

    landmarks: Float32Array
    present: float
    heat: Float32Array
    world: Float32Array


@dataclass(frozen=True)
class Pose:
    """A pose in an image.

    Attributes:
        pixels: (V, 2) joints in the image, in pixels.
        world: (V, 3) metres from the middle of the hips; x right, y up, z away.
        confidence: (V,) the smaller of visibility and presence of each joint.
        present: Probability that there is a person.
        next_region: Region in which the person is expected in the next image.
    """

    pixels: Float32Array
    world: Float32Array
    confidence: Float32Array
    present: float
    next_region: Region


def decode_pose(outputs: Outputs, region: Region) -> Pose:
    """Decode what the network returns for a region of an image."""
    shares_l2 = refine(outputs.landmarks[:, :2] / SIZE, outputs.heat)
    pixels_l2 = region.to_image(shares_l2)
    world = region.turn(outputs.world[:JOINTS])
    world[:, 1] *= -1
    sure = 1 / (1 + np.exp(-outputs.landmarks[:JOINTS, 3:].astype(np.float64)))
    centre, tip = pixels_l2[JOINTS], pixels_l2[JOINTS + 1]
    return Pose(
        pixels=pixels_l2[:JOINTS],
        world=world,
        confidence=sure.min(-1).astype(np.float32),
        present=outputs.present,
        next_region=Region.around(centre, tip),
    )


def refine(shares_l2: NDArray[np.floating], heat_hwl: Float32Array) -> NDArray[np.float64]:
    """Move landmarks to the mean of the heat around them.

    Args:
        shares_l2: (L, 2) landmarks, in shares of the image.
        heat_hwl: (H, W, L) logits of their heat maps.

    Returns:
        The landmarks (L, 2): the mean of the 7 x 7 cells around each, weighted by their heat. One
        outside the image, or without a cell of at least 0.5, stays where it is.
    """
    height, width = heat_hwl.shape[:2]
    refined = shares_l2.astype(np.float64)
    centre_l2 = np.trunc(refined * (width, height)).astype(np.int64)
    around = np.arange(KERNEL) - KERNEL // 2
    columns, rows = (centre_l2[:, axis, None] + around for axis in (0, 1))
    valid = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None
    ]
    cells = heat_hwl[
        np.clip(rows, 0, height - 1)[:, :, None],
        np.clip(columns, 0, width - 1)[:, None, :],
        np.arange(len(refined))[:, None, None],
    ]
    warm = np.where(valid, 1 / (1 + np.exp(-cells.astype(np.float64))), 0)
    total = warm.sum((1, 2))
    inside = (
        (centre_l2 >= 0).all(1)
        & (centre_l2 < (width, height)).all(1)
        & (warm.max((1, 2)) >= MIN_HEAT)
    )
    means = np.stack(
        [
            (warm.sum(1) * columns).sum(1) / np.maximum(total, 1e-9) / width,
            (warm.sum(2) * rows).sum(1) / np.maximum(total, 1e-9) / height,
        ],
        -1,
    )
    refined[inside] = means[inside]
    return refined
