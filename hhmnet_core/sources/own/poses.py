"""Poses from the array of a skeleton file: the order of its axes, and a confidence among them."""

from dataclasses import dataclass

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.axes import arrange, axes_of, check_axes, check_fit
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import MIN_CONFIDENCE, OnMissing
from hhmnet_core.store.clips import Float32Array

_CONFIDENCES = (-0.1, 1.5)  # detectors exceed 0 to 1 a little


@dataclass(frozen=True)
class Reading:
    """Interpretation of skeleton files.

    Attributes:
        axes: Order of the axes, such as CTVM. "": (T, V, C) or (M, T, V, C).
        missing: Treatment of joints that are missing while their body is present.
        min_confidence: Smallest confidence of a known joint.

    Raises:
        InputError: No order of axes, or a confidence outside [0, 1].
    """

    axes: str = ""
    missing: OnMissing = "refuse"
    min_confidence: float = MIN_CONFIDENCE

    def __post_init__(self) -> None:
        if self.axes:
            check_axes(self.axes)
        if not 0 <= self.min_confidence <= 1:
            raise InputError(f"min_confidence must be 0 to 1, but is {self.min_confidence}.")


DEFAULT_READING = Reading()


@dataclass(frozen=True)
class Poses:
    """A skeleton file in the order (M, T, V, ...), and the shape of its array."""

    shape: tuple[int, ...]
    joints: Float32Array
    confidence: Float32Array | None
    pixels: Float32Array | None


def arrange_poses(
    array: Float32Array, pixels: Float32Array | None, layout: Layout, axes: str
) -> Poses:
    """Bring the arrays of a file into the order (M, T, V, C), and split off the confidence.

    Args:
        array: Joints in the order of the file.
        pixels: Their positions in the video, in the same order. None: not in the file.
        layout: Layout of the skeletons.
        axes: Order of the axes that the user gives. "": the usual one.

    Raises:
        InputError: A shape that does not fit, an infinite number, or a third coordinate of a 2D
            layout that is no confidence.
    """
    order = axes_of(array.shape, axes)
    check_fit(array.shape, order, layout, suggests=not axes)
    joints = arrange(array, order)
    if pixels is not None:
        pixels = arrange(pixels, axes_of(pixels.shape, order))
    bodies, frames, number, channels = joints.shape
    if bodies < 1 or frames < 1:
        raise InputError(f"it is empty: {bodies} bodies, {frames} frames.")
    if np.isinf(joints).any():
        raise InputError("it has an infinite coordinate: repair it, or leave the clip out.")
    if pixels is not None and pixels.shape != (bodies, frames, number, 2):
        raise InputError(
            f"its pixels have the shape {pixels.shape}, expected {(bodies, frames, number, 2)}."
        )
    if pixels is not None and np.isinf(pixels).any():
        raise InputError("it has infinite pixels: expected NaN for unknown joints.")
    if channels == layout.channels:
        return Poses(array.shape, joints, None, pixels)
    confidence = joints[..., -1]
    known = confidence[np.isfinite(confidence)]
    low, high = _CONFIDENCES
    if known.size and not (low <= known.min() and known.max() <= high):
        raise InputError(
            f"its third coordinate is {known.min():.3g} to {known.max():.3g}, which is no "
            "confidence (0 to 1): for 3D joints give a layout of 3 channels, else drop it."
        )
    return Poses(array.shape, np.ascontiguousarray(joints[..., :-1]), confidence, pixels)
