"""Boxes around people, and how much they overlap.

Axes: M and N boxes, V joints; a box is left, top, right, bottom, in pixels.
"""

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.skeleton.missing import MIN_CONFIDENCE, Float32Array

Boxes = NDArray[np.float64]


def boxes_around(pixels_mv2: Float32Array, confidence_mv: Float32Array) -> Boxes:
    """Return the boxes (M, 4) around people's joints.

    Joints of a confidence below 0.05 count only for people who have no others.
    """
    known_mv = np.isfinite(pixels_mv2).all(-1)
    sure_mv = known_mv & (confidence_mv >= MIN_CONFIDENCE)
    used_mv = np.where(sure_mv.any(-1, keepdims=True), sure_mv, known_mv)[..., None]
    low = np.where(used_mv, pixels_mv2, np.inf).min(-2)
    high = np.where(used_mv, pixels_mv2, -np.inf).max(-2)
    return np.concatenate([low, high], -1).astype(np.float64)


def overlaps(one_m4: Boxes, other_n4: Boxes) -> NDArray[np.float64]:
    """Return the intersection over union of each two boxes, (M, N)."""
    low_mn2 = np.maximum(one_m4[:, None, :2], other_n4[None, :, :2])
    high_mn2 = np.minimum(one_m4[:, None, 2:], other_n4[None, :, 2:])
    shared_mn = np.clip(high_mn2 - low_mn2, 0, None).prod(-1)
    area_m, area_n = (
        np.clip(box[:, 2:] - box[:, :2], 0, None).prod(-1) for box in (one_m4, other_n4)
    )
    union_mn = area_m[:, None] + area_n[None] - shared_mn
    shares: NDArray[np.float64] = shared_mn / np.maximum(union_mn, 1e-9)
    return shares
