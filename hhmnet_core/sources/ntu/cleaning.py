"""Cleaning of NTU RGB+D recordings: from the sensor's tracks to one or two actors.

One function per step of what SGN, CTR-GCN and later work do: the scripts `get_raw_denoised_data`
and `seq_transformation` of github.com/Uason-Chen/CTR-GCN, after Zhang et al. (SGN, CVPR 2020), with
their thresholds and order. Three things differ: a track with gaps keeps its own frame numbers,
poses with values that are not numbers are dropped, and a recording always keeps one body.

Axes: F frames of one body, T frames of a recording, M actors.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.sources.ntu.skeleton_file import JOINTS, Body, Recording

SHORT_BODY = 11  # frames; a body seen in no more is dropped
MAX_WIDTH = 0.8  # of a pose's height; a wider pose is noise
MAX_NOISE = 0.69754  # of a body's frames; a body with at least this share of noise is dropped
SPINE_BASE, SPINE_MID = 0, 1
LEFT_SHOULDER, RIGHT_SHOULDER = 4, 8


@dataclass(frozen=True)
class CleanRecording:
    """The actors of a recording.

    Attributes:
        joints: (M, T, 25, 3) float32 metres, zero in frames without the actor.
        pixels: (M, T, 25, 2) float32 pixels of the colour image, NaN where unknown.
        frames: (T,) numbers of the kept frames in the recording.
        dropped: Counts of what was dropped, by description.
    """

    joints: NDArray[np.float32]
    pixels: NDArray[np.float32]
    frames: NDArray[np.int64]
    dropped: dict[str, int]


def clean_recording(recording: Recording, where: str, align: bool = False) -> CleanRecording:
    """Turn the tracks of a recording into one or two actors.

    Args:
        recording: The parsed file.
        where: Its name, for messages.
        align: Rotation of the recording upright and to the front, by its first pose.

    Raises:
        InputError: The recording shows nobody.
    """
    dropped: Counter[str] = Counter()
    bodies = drop_broken_poses(list(recording.bodies), dropped)
    if not bodies:
        what = "body whose joints are all numbers" if recording.bodies else "body"
        raise InputError(f"{where} shows no {what} in any of its frames: leave it out.")
    bodies, frames = drop_frames_without_bodies(bodies, recording.num_frames, dropped)
    bodies = drop_short_bodies(bodies, dropped)
    bodies = order_by_motion(*drop_spread_bodies(bodies, dropped))
    joints, pixels, present = assign_actors(bodies, len(frames), dropped)
    kept_t = present.any(0)
    dropped["frames of dropped bodies alone"] += int((~kept_t).sum())
    joints, pixels, present = joints[:, kept_t], pixels[:, kept_t], present[:, kept_t]
    pixels[~np.isfinite(pixels).all(-1)] = np.nan  # outside the colour camera's view
    joints = centre_on_first_spine(joints, present)
    if align:
        joints = align_view(joints, present)
    actors = 2 if present[1].any() else 1
    counts = {what: count for what, count in dropped.items() if count}
    return CleanRecording(joints[:actors], pixels[:actors], frames[kept_t], counts)


def drop_broken_poses(bodies: list[Body], dropped: Counter[str]) -> list[Body]:
    """Drop poses with NaN or infinite joints, and bodies that have no others."""
    whole = []
    for body in bodies:
        finite_fvc: NDArray[np.bool_] = np.isfinite(body.joints)
        whole.append(body.take(finite_fvc.reshape(len(body), -1).min(axis=1, initial=True)))
    dropped["poses with values that are no numbers"] += sum(map(len, bodies)) - sum(map(len, whole))
    return [body for body in whole if len(body)]


def drop_frames_without_bodies(
    bodies: list[Body], num_frames: int, dropped: Counter[str]
) -> tuple[list[Body], NDArray[np.int64]]:
    """Renumber the bodies' frames without those that show nobody.

    Returns:
        The bodies, and the numbers (T,) of the kept frames in the recording.
    """
    seen = np.zeros(num_frames, dtype=np.bool_)
    for body in bodies:
        seen[body.frames] = True
    new_number = np.cumsum(seen) - 1
    dropped["frames without bodies"] += int((~seen).sum())
    renumbered = [replace(body, frames=new_number[body.frames]) for body in bodies]
    return renumbered, np.flatnonzero(seen)


def drop_short_bodies(bodies: list[Body], dropped: Counter[str]) -> list[Body]:
    """Drop bodies seen in 11 frames or fewer, but never the longest."""
    longest = max(bodies, key=len)
    kept = [body for body in bodies if len(body) > SHORT_BODY or body is longest]
    dropped[f"bodies seen in {SHORT_BODY} frames or fewer"] += len(bodies) - len(kept)
    return kept


def drop_spread_bodies(bodies: list[Body], dropped: Counter[str]) -> tuple[list[Body], list[float]]:
    """Drop bodies most of whose poses are noise, but never the last body.

    A pose is noise if its width exceeds 0.8 of its height.

    Returns:
        The bodies, and the motion of each: of all its poses or of those that are not noise,
        whichever is less.
    """
    kept: list[tuple[Body, float]] = []
    for number, body in enumerate(bodies):
        motion = motion_of(body.joints)
        is_last = not kept and number == len(bodies) - 1
        if len(bodies) > 1 and not is_last:
            extent = body.joints.max(1) - body.joints.min(1)
            upright = extent[:, 0] <= MAX_WIDTH * extent[:, 1]
            if 1 - upright.mean() >= MAX_NOISE:
                dropped["bodies wider than high"] += 1
                continue
            if not upright.all():
                motion = min(motion, motion_of(body.joints[upright]))
        kept.append((body, motion))
    return [body for body, _ in kept], [motion for _, motion in kept]


def motion_of(joints_fvc: NDArray[np.float32]) -> float:
    """Return the variance over all joints and frames, summed over coordinates, in square metres."""
    return float(np.var(joints_fvc.reshape(-1, 3).astype(np.float64), axis=0).sum())


def order_by_motion(bodies: list[Body], motions: list[float]) -> list[Body]:
    """Sort bodies by falling motion; equal ones keep their order."""
    order = sorted(range(len(bodies)), key=lambda number: -motions[number])
    return [bodies[number] for number in order]


def assign_actors(
    bodies: list[Body], num_frames: int, dropped: Counter[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Assign any number of tracks to two actors.

    The first body is actor 1. Each later one continues the first actor whose time it does not
    overlap, because a track that is lost and found again has a new id.

    Returns:
        Joints (2, T, 25, 3), zero where absent; pixels (2, T, 25, 2), NaN where absent; and
        presence (2, T).
    """
    joints = np.zeros((2, num_frames, JOINTS, 3), dtype=np.float32)
    pixels = np.full((2, num_frames, JOINTS, 2), np.nan, dtype=np.float32)
    present = np.zeros((2, num_frames), dtype=np.bool_)
    spans: list[tuple[int, int] | None] = [None, None]
    for body in bodies:
        start, end = int(body.frames[0]), int(body.frames[-1])
        for actor, span in enumerate(spans):
            if span is None or min(span[1], end) - max(span[0], start) <= 0:
                # Tracks may share one frame: it stays with the earlier one.
                free = ~present[actor, body.frames]
                joints[actor, body.frames[free]] = body.joints[free]
                pixels[actor, body.frames[free]] = body.pixels[free]
                present[actor, body.frames] = True
                spans[actor] = (min(start, span[0]), max(end, span[1])) if span else (start, end)
                break
        else:
            dropped["bodies beside two more active ones"] += 1
    return joints, pixels, present


def centre_on_first_spine(
    joints: NDArray[np.float32], present: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Move the mid-spine of actor 1's first frame to the origin; absent actors stay zero.

    Args:
        joints: (M, T, 25, 3).
        present: (M, T).
    """
    first = int(present[0].argmax())
    centred: NDArray[np.float32] = joints - joints[0, first, SPINE_MID]
    return centred * present[:, :, None, None]


def align_view(joints: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Rotate a recording upright and to the front, by actor 1's first frame.

    The spine (base to middle) comes to lie along y, which is up, and then the line from the right
    to the left shoulder in the plane of x and y, towards -x. This is `pre_normalization` of 2s-AGCN
    (Shi et al., CVPR 2019), where z is up, in this project's axes.

    Args:
        joints: (M, T, 25, 3).
        present: (M, T).
    """
    pose = joints[0, int(present[0].argmax())].astype(np.float64)
    up = _unit(pose[SPINE_MID] - pose[SPINE_BASE])
    across = pose[RIGHT_SHOULDER] - pose[LEFT_SHOULDER]
    right = _unit(across - (across @ up) * up)
    if not up.any() or not right.any():
        return joints
    axes = np.stack([right, up, np.cross(right, up)])
    return (joints @ axes.T.astype(np.float32)).astype(np.float32)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else np.zeros_like(vector)
