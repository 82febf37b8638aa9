"""Joints whose position is missing: finding them, and filling them from other frames.

A position is missing where it is NaN, exactly 0 or -1 in all coordinates, of low confidence, or
another number that stands in all coordinates of several joints, such as -100: so pose estimators
and sensors report lost joints. A body is absent from a frame in which none of its joints is known,
and frames without any body before the first and after the last one are padding.

Axes: M bodies, T frames, V joints, C coordinates.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import Layout

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
OnMissing = Literal["refuse", "hold", "interpolate"]
MIN_CONFIDENCE = 0.05
_MARKS = (0, -1)  # coordinates of a lost joint
# Positions, and different joints among them, that another number has to stand for to be a mark.
_FEWEST_MARKED, _FEWEST_JOINTS = 3, 2


@dataclass(frozen=True)
class Completed:
    """The joints of a clip without padding and gaps.

    Attributes:
        joints: (M, T, V, C) float32 joints of the bodies that are ever present, from the first to
            the last frame that shows one. Zero where a body is absent.
        known: (M, T, V) Whether a position is the source's own.
        missing: (M, T, V) Whether a position was filled in.
        first: Frame of the source that became the first one.
        bodies: Indices of the source's bodies that were kept.
        counts: Number of things that were left out or filled in, by kind.
    """

    joints: Float32Array
    known: BoolArray
    missing: BoolArray
    first: int
    bodies: tuple[int, ...]
    counts: dict[str, int] = field(default_factory=dict)


def known_joints(
    joints_mtvc: Float32Array,
    always_zero: frozenset[int] = frozenset(),
    confidence_mtv: Float32Array | None = None,
    min_confidence: float = MIN_CONFIDENCE,
) -> BoolArray:
    """Return which positions are known, (M, T, V).

    Args:
        joints_mtvc: The joints.
        always_zero: Joints that are zero throughout the data, such as the centre of centred
            skeletons. They are known wherever their body is present.
        confidence_mtv: Confidence of each position. None: not recorded.
        min_confidence: Smallest confidence of a known position.
    """
    known_mtv: BoolArray = np.all(np.isfinite(joints_mtvc), -1)
    for mark in _MARKS:
        known_mtv &= np.any(joints_mtvc != mark, -1)
    for number in _other_marks(joints_mtvc, known_mtv):
        known_mtv &= np.any(joints_mtvc != number, -1)
    if confidence_mtv is not None:
        with np.errstate(invalid="ignore"):
            known_mtv &= confidence_mtv >= min_confidence
    if always_zero:
        known_mtv[..., sorted(always_zero)] = known_mtv.any(-1, keepdims=True)
    return known_mtv


def _other_marks(joints_mtvc: Float32Array, known_mtv: BoolArray) -> list[float]:
    """Return the numbers that stand in all coordinates of several positions of several joints.

    Measured coordinates are hardly ever equal to each other, and never the same number again and
    again. A number that stands for every position is none.
    """
    alike_mtv = np.all(joints_mtvc == joints_mtvc[..., :1], -1) & known_mtv
    values_n, joint_n = joints_mtvc[..., 0][alike_mtv], np.nonzero(alike_mtv)[-1]
    numbers, counts = np.unique(values_n, return_counts=True)
    return [
        float(number)
        for number in numbers[(counts >= _FEWEST_MARKED) & (counts < known_mtv.sum())]
        if len(np.unique(joint_n[values_n == number])) >= _FEWEST_JOINTS
    ]


def complete(
    joints_mtvc: Float32Array, known_mtv: BoolArray, layout: Layout, how: OnMissing, where: str
) -> Completed:
    """Cut padding off a clip, leave out bodies that are never present, and fill missing joints.

    Args:
        joints_mtvc: The joints.
        known_mtv: Which of them are known.
        layout: Their layout.
        how: Treatment of joints that are missing while their body is present: "refuse" them,
            "hold" the last known position (before the first one: that), or "interpolate" between
            the neighbouring known ones. A joint that is never known takes the position of the
            nearest joint of its body.
        where: Name of the clip, for messages.

    Raises:
        InputError: Nobody is present in any frame, or joints are missing and `how` is "refuse".
    """
    num_bodies, num_frames = known_mtv.shape[:2]
    present_mt: BoolArray = np.any(known_mtv, -1)
    if not present_mt.any():
        raise InputError(
            f"{where} shows nobody: in each of its {num_frames} frames all joints are 0, -1, NaN "
            "or of low confidence. Leave the clip out, or repair it."
        )
    shown = np.flatnonzero(present_mt.any(0))
    first, stop = int(shown[0]), int(shown[-1]) + 1
    bodies = np.flatnonzero(present_mt.any(1))
    known_mtv, present_mt = known_mtv[bodies, first:stop], present_mt[bodies, first:stop]
    present_mt = present_mt | _between(present_mt) & ~present_mt.any(0)
    missing_mtv = ~known_mtv & present_mt[..., None]
    if missing_mtv.any() and how == "refuse":
        _, frame, joint = (int(at) for at in np.argwhere(missing_mtv)[0])
        raise InputError(
            f"{where}: {int(missing_mtv.sum())} positions in {int(missing_mtv.any((0, 2)).sum())} "
            f"of {stop - first} frames are missing (0, -1, another mark, NaN or of low "
            f"confidence), first {layout.joints[joint]} in frame {first + frame}: give --missing "
            "hold (the last known position) or --missing interpolate, or repair the file."
        )
    joints_mtvc = np.where(known_mtv[..., None], joints_mtvc[bodies, first:stop], np.float32(0))
    counts = {
        "frames of padding": num_frames - (stop - first),
        "bodies without any joints": num_bodies - len(bodies),
    }
    if missing_mtv.any():
        joints_mtvc = _fill(joints_mtvc, known_mtv, present_mt, how == "interpolate", layout)
        counts |= {
            "clips with missing joints": 1,
            "frames with missing joints": int(missing_mtv.any((0, 2)).sum()),
            "missing positions of joints": int(missing_mtv.sum()),
        }
    return Completed(
        joints=np.ascontiguousarray(joints_mtvc, dtype=np.float32),
        known=known_mtv,
        missing=missing_mtv,
        first=first,
        bodies=tuple(map(int, bodies)),
        counts={kind: count for kind, count in counts.items() if count},
    )


def _between(present_mt: BoolArray) -> BoolArray:
    """Return which frames lie between two in which a body is present, (M, T)."""
    before: BoolArray = np.logical_or.accumulate(present_mt, axis=1)
    after: BoolArray = np.logical_or.accumulate(present_mt[:, ::-1], 1)[:, ::-1]
    return before & after


def _fill(
    joints_mtvc: Float32Array,
    known_mtv: BoolArray,
    present_mt: BoolArray,
    interpolates: bool,
    layout: Layout,
) -> Float32Array:
    """Return joints with every position filled in where their body is present, else zero."""
    num_frames = known_mtv.shape[1]
    frame_t11 = np.arange(num_frames)[:, None]
    before_mtv = np.maximum.accumulate(np.where(known_mtv, frame_t11, -1), 1)
    after_mtv = np.minimum.accumulate(np.where(known_mtv, frame_t11, num_frames)[:, ::-1], 1)[
        :, ::-1
    ]
    ever_mv: BoolArray = np.any(known_mtv, 1)
    left_mtv = np.where(before_mtv < 0, after_mtv, before_mtv) % num_frames
    right_mtv = np.where(after_mtv == num_frames, before_mtv, after_mtv) % num_frames
    filled = np.take_along_axis(joints_mtvc, left_mtv[..., None], 1)
    if interpolates:
        share = (frame_t11 - left_mtv) / np.maximum(right_mtv - left_mtv, 1)
        change = np.take_along_axis(joints_mtvc, right_mtv[..., None], 1) - filled
        filled = filled + np.clip(share, 0, 1)[..., None] * change
        filled = np.where(known_mtv[..., None], joints_mtvc, filled)
    hops_vv = layout.hops.numpy()
    for body in range(len(filled)):
        for joint in np.flatnonzero(~ever_mv[body]):
            nearest = np.where(ever_mv[body], hops_vv[joint], len(hops_vv) + 1).argmin()
            filled[body, :, joint] = filled[body, :, nearest]
    return np.where(present_mt[..., None, None], filled, 0).astype(np.float32)
