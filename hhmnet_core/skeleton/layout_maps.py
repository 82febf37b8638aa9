"""Maps between skeleton layouts: each joint is the mean of named joints of another layout.

Layouts agree on the limbs and differ at the trunk, the head and the hands. Where the source lacks
a joint, the nearest ones stand in for it; such joints are listed as guessed. A mean of joints
of both sides is its own mirror image, so mapping and mirroring can be exchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import LAYOUTS, Layout, get_layout
from hhmnet_core.skeleton.missing import BoolArray, Float32Array, known_joints

SIDES = ("left", "right")


@dataclass(frozen=True)
class LayoutMap:
    """A map from one layout to another.

    Attributes:
        source: Layout of the given joints.
        target: Layout of the resulting joints.
        sources: Names of the source's joints whose mean is the joint, by the target's joint.
        guessed: Joints of the target that the source has no equivalent of.
    """

    source: Layout
    target: Layout
    sources: Mapping[str, tuple[str, ...]]
    guessed: frozenset[str] = frozenset()

    @cached_property
    def weights_uv(self) -> Float32Array:
        """Share of each source joint V in each target joint U; rows add up to 1."""
        weights = np.zeros((self.target.num_joints, self.source.num_joints), np.float32)
        for row, joint in zip(weights, self.target.joints, strict=True):
            names = self.sources[joint]
            row[[self.source.joint(name) for name in names]] = 1 / len(names)
        return weights

    def joints(
        self, joints_vc: NDArray[np.floating], known_v: BoolArray | None = None
    ) -> Float32Array:
        """Map joints (..., V, C) to (..., U, C); see `map_joints`."""
        if joints_vc.shape[-2] != self.source.num_joints:
            raise InputError(
                f"Joints of shape {joints_vc.shape} cannot be mapped from {self.source.name}: "
                f"expected {self.source.num_joints} joints on the last axis but one."
            )
        given_vc = np.asarray(joints_vc, np.float32)
        if known_v is None:
            known_v = known_joints(given_vc)
        mapped_uc = self.weights_uv @ np.where(known_v[..., None], given_vc, np.float32(0))
        used_uv = self.weights_uv > 0
        lost_uv = used_uv & ~known_v[..., None, :]
        # A lost joint passes its own mark on: NaN, or 0 or -1 in all coordinates.
        marks_uc = np.take_along_axis(given_vc, lost_uv.argmax(-1)[..., None], -2)
        is_lost_u: BoolArray = np.any(lost_uv, -1)
        return np.where(is_lost_u[..., None], marks_uc, mapped_uc).astype(np.float32)

    def confidence(self, confidence_v: NDArray[np.floating]) -> Float32Array:
        """Map confidences (..., V) to (..., U): the smallest of the joints that a mean is of."""
        given_v = np.asarray(confidence_v, np.float32)[..., None, :]
        chosen_uv = np.where(self.weights_uv > 0, given_v, np.float32(np.inf))
        return np.asarray(chosen_uv.min(-1), np.float32)


def _both(joint: str, *sources: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of a joint of the left side and of the right side."""
    return {f"{side}_{joint}": tuple(f"{side}_{name}" for name in sources) for side in SIDES}


def _same(*joints: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of joints of both sides that have one name in both layouts."""
    return {name: row for joint in joints for name, row in _both(joint, joint).items()}


_SHOULDERS, _HIPS = ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")
_EARS = ("left_ear", "right_ear")
_LIMBS = _same("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_KINECT_LIMBS = _LIMBS | _same("hand", "foot")
_FROM_BLAZEPOSE = (
    _LIMBS
    | _both("hand", "wrist", "index", "pinky")
    | _both("foot", "foot_index")
    | {"head": _EARS}
)

_TO_COCO = {"nose": ("nose",)} | _same("eye", "ear") | _LIMBS
_BLAZEPOSE_TO_V1 = _FROM_BLAZEPOSE | {
    "hip_centre": _HIPS,
    "spine": (*_HIPS, *_SHOULDERS),
    "shoulder_centre": _SHOULDERS,
}
_BLAZEPOSE_TO_V2 = (
    _FROM_BLAZEPOSE
    | {
        "spine_base": _HIPS,
        "spine_mid": (*_HIPS, *_SHOULDERS),
        "spine_shoulder": _SHOULDERS,
        "neck": (*_SHOULDERS, *_EARS),
    }
    | _both("hand_tip", "index")
    | _both("thumb", "thumb")
)
_V1_TO_V2 = (
    _KINECT_LIMBS
    | {
        "spine_base": ("hip_centre",),
        "spine_mid": ("spine",),
        "spine_shoulder": ("shoulder_centre",),
        "neck": ("shoulder_centre", "head"),
        "head": ("head",),
    }
    | _both("hand_tip", "hand")
    | _both("thumb", "hand")
)
_V2_TO_V1 = _KINECT_LIMBS | {
    "hip_centre": ("spine_base",),
    "spine": ("spine_mid",),
    "shoulder_centre": ("spine_shoulder",),
    "head": ("head",),
}
_FINGERS = frozenset({*_both("hand_tip"), *_both("thumb")})
_V1, _UTD, _V2, _BLAZE = "kinect_v1_20", "kinect_v1_20_utd", "kinect_v2_25", "blazepose_33"

MAPS: dict[tuple[str, str], LayoutMap] = {
    (source, target): LayoutMap(get_layout(source), get_layout(target), rows, frozenset(guessed))
    for source, target, rows, guessed in (
        (_BLAZE, "coco_17", _TO_COCO, ()),
        (_BLAZE, _V1, _BLAZEPOSE_TO_V1, ("spine",)),
        (_BLAZE, _UTD, _BLAZEPOSE_TO_V1, ("spine",)),
        (_BLAZE, _V2, _BLAZEPOSE_TO_V2, ("spine_mid", "neck", *_both("hand_tip"))),
        (_V1, _UTD, {name: (name,) for name in LAYOUTS[_V1].joints}, ()),
        (_UTD, _V1, {name: (name,) for name in LAYOUTS[_V1].joints}, ()),
        (_V2, _V1, _V2_TO_V1, ()),
        (_V2, _UTD, _V2_TO_V1, ()),
        (_V1, _V2, _V1_TO_V2, ("neck", *_FINGERS)),
        (_UTD, _V2, _V1_TO_V2, ("neck", *_FINGERS)),
    )
}


def find_map(source: str, target: str) -> LayoutMap:
    """Return the map between two layouts; a layout maps onto itself unchanged.

    Raises:
        InputError: An unknown layout, or two layouts without a map. The message lists the maps.
    """
    if source == target:
        layout = get_layout(source)
        return LayoutMap(layout, layout, {joint: (joint,) for joint in layout.joints})
    if (source, target) not in MAPS:
        get_layout(source), get_layout(target)
        known = ", ".join(f"{one} to {other}" for one, other in MAPS)
        raise InputError(f"There is no map from layout {source} to {target}; there are {known}.")
    return MAPS[source, target]


def map_joints(
    joints_vc: NDArray[np.floating], source: str, target: str, known_v: BoolArray | None = None
) -> Float32Array:
    """Return joints (..., V, C) of one layout as joints (..., U, C) of another.

    Args:
        joints_vc: Joints in any unit and of any number of coordinates.
        source: Name of their layout.
        target: Name of the resulting layout.
        known_v: Which joints (..., V) are known. None: those that are neither NaN nor 0 or -1 in
            all coordinates.

    Returns:
        The joints. One that needs a lost joint takes over its mark (NaN, 0 or -1).

    Raises:
        InputError: No map between the layouts, or another number of joints.
    """
    return find_map(source, target).joints(joints_vc, known_v)
