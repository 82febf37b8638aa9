"""The poses of the last seconds of a stream, on an even grid in time, in bounded memory.

Images come irregularly and some are dropped, while networks are trained on frames at even distance:
a clip of the images as they come would show motion faster where images are missing. Each joint is
therefore interpolated linearly in time between the images that show its person, at the frames of a
grid that ends with the newest image. The grid has the frame rate of the training data (30 a second
unless it is given); the networks then take their own number of frames from it, evenly as well.

Axes: M bodies, G frames of the grid, V joints.
"""

from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.poses.contract import People
from hhmnet_core.poses.tracking import Track, Tracker
from hhmnet_core.poses.tracks import PoseTracks, check_max_bodies, choose_bodies
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import Float32Array

DEFAULT_RATE = 30.0  # frames per second: that of Kinects, and of most videos
MAX_SECONDS, MAX_FRAMES = 60.0, 10_000
MAX_PAUSE = 1.0  # seconds between two images, over which no motion is interpolated
ABSENT_SECONDS = 0.5  # after which a person who is not seen has left
MIN_SHARE = 0.5  # of the window in which somebody has to be seen

# "gathering": images of less than a window; "arriving": somebody is seen, but for less than half.
View = Literal["gathering", "nobody", "arriving", "people"]


@dataclass(frozen=True)
class WindowPoses:
    """The poses of a window.

    Attributes:
        view: State of the window. Only "people" can be predicted.
        tracks: The poses at the frames of the grid.
    """

    view: View
    tracks: PoseTracks


class PoseWindow:
    """The poses of the last seconds of a stream.

    Args:
        layout: Layout of the people's joints.
        seconds: Length of the window.
        max_bodies: Largest number of bodies that are kept, by their activity.
        rate: Frames of the grid per second.

    Raises:
        InputError: A length or a number of bodies out of range.
    """

    def __init__(
        self, layout: Layout, seconds: float, max_bodies: int, rate: float = DEFAULT_RATE
    ) -> None:
        check_max_bodies(max_bodies)
        self.num_frames = round(seconds * rate)
        if not (seconds <= MAX_SECONDS and 2 <= self.num_frames <= MAX_FRAMES):
            raise InputError(
                f"A window of {seconds:g} s at {rate:g} frames per second cannot be used on a live "
                f"input: expected 2 to {MAX_FRAMES} frames, and at most {MAX_SECONDS:.0f} s."
            )
        self.layout, self.rate = layout, rate
        self._max_bodies = max_bodies
        self.clear()

    @property
    def num_images(self) -> int:
        """Number of images that are held."""
        return len(self._times)

    def clear(self) -> None:
        """Forget all images."""
        self._tracker, self._size = Tracker(), (0, 0)
        self._times: deque[float] = deque()

    def add(self, people: People, size: tuple[int, int], time: float) -> None:
        """Add the people of the next image, and forget images from before the window.

        Args:
            people: The people.
            size: Width and height of the image. Images of another size start over.
            time: Time of the image in seconds. After a pause of more than a second it starts over.
        """
        if self._times and (size != self._size or time - self._times[-1] > MAX_PAUSE):
            self.clear()
        self._size = size
        self._tracker.add(people)
        self._times.append(time)
        # The last image before the grid stays, for the frames up to the next one.
        while len(self._times) > 1 and self._times[1] <= self._begin:
            self._times.popleft()
        self._tracker.forget(self._tracker.num_frames - len(self._times))

    def poses(self) -> WindowPoses:
        """Return the poses on the grid."""
        grid = self._times[-1] - np.arange(self.num_frames - 1, -1, -1) / self.rate
        times = np.array(self._times)
        bodies = self._bodies(times)
        tracks = self._on_grid(bodies, times, grid)
        seen = np.any(tracks.confidence > 0, axis=(0, 2))
        shown = np.flatnonzero(seen)
        recent = max(1, round(ABSENT_SECONDS * self.rate))
        if self._times[0] > self._begin:
            view: View = "gathering"
        elif not seen[-recent:].any():
            view = "nobody"
        elif shown[-1] + 1 - shown[0] < MIN_SHARE * self.num_frames:
            view = "arriving"
        else:
            view = "people"
        return WindowPoses(view, tracks)

    @property
    def _begin(self) -> float:
        """Time of the first frame of the grid, a little later for the rounding of times."""
        return self._times[-1] - (self.num_frames - 1) / self.rate + 1e-9

    def _bodies(self, times: NDArray[np.float64]) -> list[list[Track]]:
        """Return the tracks of each body, their frames counted from the first image held."""
        first = self._tracker.num_frames - len(times)
        tracks = [
            replace(track, frames=[frame - first for frame in track.frames])
            for track in self._tracker.tracks
        ]
        return choose_bodies(tracks, len(times), self._max_bodies, Counter())

    def _on_grid(
        self, bodies: list[list[Track]], times: NDArray[np.float64], grid: NDArray[np.float64]
    ) -> PoseTracks:
        shape = (len(bodies), len(grid), self.layout.num_joints)
        pixels = np.full((*shape, 2), np.nan, np.float32)
        world = np.full((*shape, 3), np.nan, np.float32) if self.layout.channels == 3 else None
        confidence = np.zeros(shape, np.float32)
        for body, parts in enumerate(bodies):
            for track in parts:
                seen = times[track.frames]
                outside = np.abs(grid - np.clip(grid, seen[0], seen[-1]))
                frames = np.flatnonzero(outside < 0.5 / self.rate)
                at = grid[frames]
                pixels[body, frames] = interpolate(at, seen, np.stack(track.pixels))
                if world is not None:
                    world[body, frames] = interpolate(at, seen, np.stack(track.world))
                confidence[body, frames] = _smaller(at, seen, np.stack(track.confidence))
        return PoseTracks(self.layout, pixels, world, confidence, *self._size)


def interpolate(
    at: NDArray[np.float64], times: NDArray[np.float64], values: Float32Array
) -> Float32Array:
    """Return values (F, ...) at some times, on lines between those of known times.

    Before the first known time and after the last one the value stays the same.

    Args:
        at: (F,) the times.
        times: (N,) known times, rising.
        values: (N, ...) their values.
    """
    before, after, share = _neighbours(at, times)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[before] + share * (values[after] - values[before]), np.float32)


def _smaller(
    at: NDArray[np.float64], times: NDArray[np.float64], confidence: Float32Array
) -> Float32Array:
    """Return the smaller confidence of the images before and after, an image's own at its time."""
    before, after, share = _neighbours(at, times)
    before, after = np.where(share == 1, after, before), np.where(share == 0, before, after)
    return np.minimum(confidence[before], confidence[after])


def _neighbours(
    at: NDArray[np.float64], times: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the known times before and after each, and its share of the way between them."""
    after = np.clip(np.searchsorted(times, at), min(1, len(times) - 1), len(times) - 1)
    before = np.maximum(after - 1, 0)
    length = np.where(after > before, times[after] - times[before], 1)
    return before, after, np.clip((at - times[before]) / length, 0, 1)
