"""Clips of one skeleton layout as clips of another.

Axes: M bodies, T frames, F frames of all bodies of all clips, V joints, U joints of the result.
"""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig, StoreConfig
from hhmnet_core.skeleton.layout_maps import LayoutMap, find_map
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.store.clips import BoolArray, Clip, ClipSet, Float32Array
from hhmnet_core.store.reading import load_clips


def find_joint_map(source: Layout, target: Layout) -> LayoutMap | None:
    """Return the map of joints from one layout to another; None where they are the same.

    Raises:
        InputError: There is no map, or it is from metres to pixels or back.
    """
    if source == target:
        return None
    found = find_map(source.name, target.name)
    if source.channels != target.channels:
        raise InputError(
            f"Joints of layout {source.name} have {source.channels} coordinates, those of "
            f"{target.name} {target.channels}: one cannot be made from the other without a camera."
        )
    return found


def map_clip(clip: Clip, found: LayoutMap) -> Clip:
    """Return a clip without its video in the target layout of a map."""
    joints, missing = _map(clip.joints, clip.missing, found)
    return replace(clip, joints=joints, missing=missing, pixels=None, video=None)


def map_clip_set(clips: ClipSet, target: Layout) -> ClipSet:
    """Return the clips of a set in another layout.

    Raises:
        InputError: As `find_joint_map`.
    """
    found = find_joint_map(clips.manifest.skeleton, target)
    if found is None:
        return clips
    frames, missing = _map(clips.frames, clips.missing, found)
    manifest = replace(clips.manifest, layout=target.name, own_layout=None, visual=None)
    digest = hashlib.sha256(f"{clips.skeletons} as {target.name}".encode()).hexdigest()
    return replace(clips, manifest=manifest, skeletons=digest, frames=frames, missing=missing)


def load_training_clips(data: StoreConfig) -> ClipSet:
    """Return the clips of a store in the layout that a config asks for.

    Converted ones are held in memory; all others are mapped from their file.

    Raises:
        InputError: As `load_clips` and `find_joint_map`.
    """
    clips = load_clips(data.store)
    layout = data.layout if isinstance(data, DataConfig) else ""
    return map_clip_set(clips, get_layout(layout)) if layout else clips


def _map(
    joints: Float32Array, missing: BoolArray | None, found: LayoutMap
) -> tuple[Float32Array, BoolArray | None]:
    """Return joints (..., U, C) and marks (..., U) of joints (..., V, C) and marks (..., V)."""
    # A body that is absent from a frame is zero there, and stays so.
    present: NDArray[np.bool_] = np.any(joints != 0, axis=(-2, -1))
    known = np.broadcast_to(present[..., None], joints.shape[:-1])
    mapped = found.joints(joints, known)
    if missing is None:
        return mapped, None
    used_uv = found.weights_uv > 0
    return mapped, np.asarray((missing[..., None, :] & used_uv).any(-1))
