"""Skeletons without a video, placed on an empty canvas.

Axes: M bodies, T frames, V joints, C coordinates.
"""

import numpy as np

from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.store.clips import Float32Array

WIDTH, HEIGHT = 640, 480  # pixels
_MARGIN = 0.12  # of the smaller side, on each side


def place_on_canvas(
    joints_mtvc: Float32Array, layout: Layout, width: int = WIDTH, height: int = HEIGHT
) -> Float32Array:
    """Return positions (M, T, V, 2) in pixels that show a clip as large as fits, NaN where absent.

    3D joints are seen from the front, without perspective; 2D ones as they are.

    Args:
        joints_mtvc: Joints; zero in frames without the body.
        layout: Their layout.
        width: Width of the canvas, in pixels.
        height: Height of the canvas, in pixels.
    """
    present_mt = np.any(joints_mtvc != 0, axis=(2, 3))
    flat = joints_mtvc[..., :2].astype(np.float64)
    if layout.channels == 3:  # y is up there, and down in an image
        flat = flat * (1, -1)
    flat = np.where(present_mt[..., None, None], flat, np.nan)
    if not present_mt.any():
        return np.asarray(flat, np.float32)
    low, high = np.nanmin(flat, (0, 1, 2)), np.nanmax(flat, (0, 1, 2))
    room = np.array([width, height]) - 2 * _MARGIN * min(width, height)
    extent = np.maximum(high - low, 1e-6)
    scale = float((room / extent).min())
    middle = np.array([width, height]) / 2
    return np.asarray((flat - (low + high) / 2) * scale + middle, np.float32)
