"""The field's cleaning of NTU RGB+D recordings: from the sensor's tracks to one or two actors.

What SGN, CTR-GCN and those after them do, a function a step (the scripts `get_raw_denoised_data`
and `seq_transformation` of github.com/Uason-Chen/CTR-GCN, from Zhang et al., SGN, CVPR 2020):
thresholds and order are theirs. Unlike theirs, a track with gaps keeps its own frames, poses with
values that are no numbers are left out, and a recording always keeps a body.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.sources.ntu.skeleton_file import JOINTS, Body

SHORTEST_BODY = 11
SPREAD = 0.8
MOST_NOISE = 0.69754
SPINE_BASE, SPINE_MID = 0, 1
LEFT_SHOULDER, RIGHT_SHOULDER = 4, 8


def drop_broken_poses(bodies: list[Body], dropped: Counter[str]) -> list[Body]:
    """Leaves out poses with NaN or infinite joints, and bodies that have no others."""
    whole = []
    for body in bodies:
        finite_fvc: NDArray[np.bool_] = np.isfinite(body.joints)
        whole.append(body.take(finite_fvc.reshape(len(body), -1).min(axis=1, initial=True)))
    dropped["poses with values that are no numbers"] += sum(map(len, bodies)) - sum(map(len, whole))
    return [body for body in whole if len(body)]


def drop_frames_without_bodies(
    bodies: list[Body], num_frames: int, dropped: Counter[str]
) -> tuple[list[Body], NDArray[np.int64]]:
    """Closes up the frames that show nobody; returns the numbers (T,) of those that are left."""
    seen = np.zeros(num_frames, dtype=np.bool_)
    for body in bodies:
        seen[body.frames] = True
    place = np.cumsum(seen) - 1
    dropped["frames without bodies"] += int((~seen).sum())
    return [replace(body, frames=place[body.frames]) for body in bodies], np.flatnonzero(seen)


def drop_short_bodies(bodies: list[Body], dropped: Counter[str]) -> list[Body]:
    """Leaves out bodies seen in 11 frames or fewer, but never the longest."""
    longest = max(bodies, key=len)
    kept = [body for body in bodies if len(body) > SHORTEST_BODY or body is longest]
    dropped[f"bodies seen in {SHORTEST_BODY} frames or fewer"] += len(bodies) - len(kept)
    return kept


def drop_spread_bodies(bodies: list[Body], dropped: Counter[str]) -> tuple[list[Body], list[float]]:
    """Leaves out bodies that are mostly wider than people are, but never the last; and motions.

    A pose is noise where its width is over 0.8 of its height. The motion of a body, the sum of
    the variances of its coordinates, is taken over the poses that are not, where that is less.
    """
    kept: list[tuple[Body, float]] = []
    for at, body in enumerate(bodies):
        motion = motion_of(body.joints)
        last = not kept and at == len(bodies) - 1
        if len(bodies) > 1 and not last:
            extent = body.joints.max(1) - body.joints.min(1)
            upright = extent[:, 0] <= SPREAD * extent[:, 1]
            if 1 - upright.mean() >= MOST_NOISE:
                dropped["bodies wider than high"] += 1
                continue
            if not upright.all():
                motion = min(motion, motion_of(body.joints[upright]))
        kept.append((body, motion))
    return [body for body, _ in kept], [motion for _, motion in kept]


def motion_of(joints_fvc: NDArray[np.float32]) -> float:
    """The sum over coordinates of the variance over all joints and frames, in square metres."""
    return float(np.var(joints_fvc.reshape(-1, 3).astype(np.float64), axis=0).sum())


def order_by_motion(bodies: list[Body], motions: list[float]) -> list[Body]:
    """The body that moves most first; equals stay in order."""
    order = sorted(range(len(bodies)), key=lambda at: -motions[at])
    return [bodies[at] for at in order]


def assign_actors(
    bodies: list[Body], num_frames: int, dropped: Counter[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Two actors from any number of tracks.

    The first body is actor 1. Each next one continues the first actor whose time it does not
    overlap: a track that is lost and found again has a new id.

    Returns:
        joints (2, T, 25, 3), zero where missing; pixels (2, T, 25, 2), NaN where missing; and
        which are present, (2, T).
    """
    joints = np.zeros((2, num_frames, JOINTS, 3), dtype=np.float32)
    pixels = np.full((2, num_frames, JOINTS, 2), np.nan, dtype=np.float32)
    present = np.zeros((2, num_frames), dtype=np.bool_)
    spans: list[tuple[int, int] | None] = [None, None]
    for body in bodies:
        start, end = int(body.frames[0]), int(body.frames[-1])
        for actor, span in enumerate(spans):
            if span is None or min(span[1], end) - max(span[0], start) <= 0:
                # Tracks may touch in one frame: the earlier one has the say there.
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
    """Moves the mid-spine of actor 1's first frame to the origin; what is missing stays zero."""
    first = int(present[0].argmax())
    centred: NDArray[np.float32] = joints - joints[0, first, SPINE_MID]
    return centred * present[:, :, None, None]


def align_view(joints: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Turns a recording upright and to the front, by actor 1's first frame.

    The spine (base to middle) comes to lie along y, which is up, and then the line from the right
    to the left shoulder in the plane of x and y, towards -x: 2s-AGCN's `pre_normalization`
    (Shi et al., CVPR 2019), whose up is z, in this project's axes.
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
