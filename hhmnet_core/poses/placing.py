"""Placing poses in front of a camera.

An estimator gives metres from the middle of each person's hips, in which nobody walks and two
people stand inside each other. Where a person is follows from the same joints in the image: of all
translations the one that projects the metres nearest to the pixels, in a camera whose optical axis
goes through the middle of the image. This is the linear solution for a known rotation, as in direct
linear transformation (Hartley and Zisserman, Multiple View Geometry, section 7.1).

Axes: M bodies, T images, V joints.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from hhmnet_core.poses.tracks import PoseTracks
from hhmnet_core.skeleton.missing import BoolArray, Float32Array

NEAREST, FARTHEST = 0.3, 50.0  # metres of the hips from the camera
SMOOTH = 15  # images whose median is the distance: it is uncertain by a tenth from image to image
_EPSILON = 1e-9


def default_focal(width: int, height: int) -> float:
    """Return a usual focal length in pixels: the larger side, a field of view of 53 degrees."""
    return float(max(width, height))


def place(tracks: PoseTracks, focal: float | None = None) -> Float32Array:
    """Return joints (M, T, V, 3) in metres from the camera, x right, y up, z away.

    The distance is the running median over 15 images. NaN where a person is absent.

    Args:
        tracks: Poses with `world`.
        focal: Focal length of the camera, in pixels of the images. None: their larger side. A wrong
            one changes the distances, but no pose.
    """
    assert tracks.world is not None
    focal = focal or default_focal(tracks.width, tracks.height)
    world = tracks.world.astype(np.float64)
    right = (tracks.pixels[..., 0].astype(np.float64) - tracks.width / 2) / focal
    up = (tracks.height / 2 - tracks.pixels[..., 1].astype(np.float64)) / focal
    present: BoolArray = np.all(np.isfinite(world), -1) & np.isfinite(right + up)
    weight = np.where(present, np.maximum(tracks.confidence, 1e-3), 0).astype(np.float64)
    weight /= np.maximum(weight.sum(-1, keepdims=True), _EPSILON)
    x, y, z = (np.where(present, world[..., axis], 0) for axis in range(3))
    right, up = np.where(present, right, 0), np.where(present, up, 0)

    def centred(values: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = (weight * values).sum(-1, keepdims=True)
        return values - mean

    numerator = (
        weight * (centred(right) * centred(x - right * z) + centred(up) * centred(y - up * z))
    ).sum(-1)
    spread = (weight * (centred(right) ** 2 + centred(up) ** 2)).sum(-1)
    distance = np.clip(numerator / np.maximum(spread, _EPSILON), NEAREST, FARTHEST)
    distance = _smooth(distance, np.any(present, -1))[..., None]
    shift_x = (weight * (right * (z + distance) - x)).sum(-1)
    shift_y = (weight * (up * (z + distance) - y)).sum(-1)
    shift = np.stack([shift_x, shift_y, distance[..., 0]], -1)
    return np.asarray(world + shift[..., None, :], np.float32)


def _smooth(distance_mt: NDArray[np.float64], present_mt: BoolArray) -> NDArray[np.float64]:
    """Return the running medians of the images in which each body is present."""
    smoothed = distance_mt.copy()
    for body, present_t in enumerate(present_mt):
        seen = distance_mt[body, present_t]
        if len(seen):
            smoothed[body, present_t] = median_filter(seen, min(SMOOTH, len(seen)), mode="nearest")
    return smoothed
