"""The people of a video that are kept, and their poses over time.

Which tracks are kept follows what is done for NTU RGB+D (`sources/ntu/cleaning.py`): tracks seen in
11 images or fewer are dropped (in videos of fewer than 22 images: in less than half), but never
the longest; the others are sorted by their activity, and
each continues the first body whose time it does not overlap, because a person who is lost and
found again begins a new track. Activity here is the number of images times the variance of the
joints in the image, so that those who are near, move and stay come first.

Axes: M bodies, T images of the video, V joints.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.poses.tracking import MAX_GAP, Track, Tracker
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import Float32Array

SHORT_TRACK = 11  # images; a person seen in no more is dropped, unless the video is short itself
MAX_BODIES = 32


@dataclass(frozen=True)
class PoseTracks:
    """The poses of a video's people.

    Attributes:
        layout: Layout of the joints.
        pixels: (M, T, V, 2) float32 joints in the images; x to the right, y down, in pixels. NaN
            where the person is absent.
        world: (M, T, V, 3) float32 joints in metres, x right, y up, z away from the camera, from
            the middle of the hips. NaN where the person is absent. None: not estimated.
        confidence: (M, T, V) float32 confidence of the joints. 0 where the person is absent.
        width: Width of the images, in pixels.
        height: Height of the images, in pixels.
        dropped: Number of things that were left out or filled in, by kind.
    """

    layout: Layout
    pixels: Float32Array
    world: Float32Array | None
    confidence: Float32Array
    width: int
    height: int
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def num_bodies(self) -> int:
        return len(self.pixels)

    @property
    def num_frames(self) -> int:
        return int(self.pixels.shape[1])


def check_max_bodies(max_bodies: int) -> None:
    """Raise InputError unless a number of bodies can be kept."""
    if not 1 <= max_bodies <= MAX_BODIES:
        raise InputError(f"max_bodies must be 1 to {MAX_BODIES}, but is {max_bodies}.")


def keep_bodies(
    tracker: Tracker, layout: Layout, size: tuple[int, int], max_bodies: int
) -> PoseTracks:
    """Return the poses of the most active people of a video.

    Args:
        tracker: All tracks of the video.
        layout: Layout of their joints.
        size: Width and height of the images.
        max_bodies: Largest number of bodies.

    Raises:
        InputError: `max_bodies` outside 1 to 32.
    """
    check_max_bodies(max_bodies)
    dropped: Counter[str] = Counter()
    bodies = choose_bodies(tracker.tracks, tracker.num_frames, max_bodies, dropped)
    shape = (len(bodies), tracker.num_frames, layout.num_joints)
    pixels = np.full((*shape, 2), np.nan, np.float32)
    world = np.full((*shape, 3), np.nan, np.float32) if layout.channels == 3 else None
    confidence = np.zeros(shape, np.float32)
    for body, parts in enumerate(bodies):
        for track in parts:
            frames, joints, sure = _bridged(track, dropped)
            pixels[body, frames], confidence[body, frames] = joints[..., :2], sure
            if world is not None:
                world[body, frames] = joints[..., 2:]
    counts = {kind: count for kind, count in dropped.items() if count}
    return PoseTracks(layout, pixels, world, confidence, *size, counts)


def choose_bodies(
    tracks: Sequence[Track], num_frames: int, max_bodies: int, dropped: Counter[str]
) -> list[list[Track]]:
    """Return the tracks of each body that is kept, the most active body first.

    Args:
        tracks: All tracks.
        num_frames: Number of images that they are of.
        max_bodies: Largest number of bodies.
        dropped: Numbers of things that were left out, by kind, which are added to.
    """
    kept = _drop_short(tracks, num_frames, dropped)
    return _assign(sorted(kept, key=activity, reverse=True), max_bodies, dropped)


def activity(track: Track) -> float:
    """Return the number of images times the variance of the joints, in square pixels."""
    points = np.stack(track.pixels).reshape(-1, 2).astype(np.float64)
    return len(track) * float(np.nanvar(points, axis=0).sum())


def _drop_short(tracks: Sequence[Track], num_frames: int, dropped: Counter[str]) -> list[Track]:
    shortest = min(SHORT_TRACK + 1, -(-num_frames // 2))
    longest = max(tracks, key=len, default=None)
    kept = [track for track in tracks if len(track) >= shortest or track is longest]
    dropped[f"bodies seen in fewer than {shortest} images"] += len(tracks) - len(kept)
    return kept


def _assign(tracks: Sequence[Track], max_bodies: int, dropped: Counter[str]) -> list[list[Track]]:
    """Return the tracks of each body, given all in falling order of activity."""
    bodies: list[list[Track]] = []
    for track in tracks:
        for body in bodies:
            if all(_are_apart(track, other) for other in body):
                body.append(track)
                break
        else:
            if len(bodies) < max_bodies:
                bodies.append([track])
            else:
                dropped[f"bodies beside {max_bodies} more active ones"] += 1
    return bodies


def _are_apart(one: Track, other: Track) -> bool:
    return one.frames[-1] < other.frames[0] or other.frames[-1] < one.frames[0]


def _bridged(track: Track, dropped: Counter[str]) -> tuple[np.ndarray, Float32Array, Float32Array]:
    """Return frames (F,), joints (F, V, C) and confidence (F, V) of a track without its gaps.

    Across a gap the joints move on straight lines, with the smaller confidence of both ends. C are
    the coordinates in the image and, where they are estimated, in metres.
    """
    seen = np.array(track.frames)
    joints = np.stack(track.pixels)
    if track.world:
        joints = np.concatenate([joints, np.stack(track.world)], -1)
    confidence = np.stack(track.confidence)
    frames = np.arange(seen[0], seen[-1] + 1)
    after = np.searchsorted(seen, frames)
    before = np.where(seen[after] == frames, after, after - 1)
    assert np.diff(seen, prepend=seen[0]).max() <= MAX_GAP + 1
    share = (frames - seen[before]) / np.maximum(seen[after] - seen[before], 1)
    moved = joints[before] + share[:, None, None] * (joints[after] - joints[before])
    dropped["images between two sightings of a person, interpolated"] += len(frames) - len(seen)
    return (
        frames,
        moved.astype(np.float32),
        np.minimum(confidence[before], confidence[after]),
    )
