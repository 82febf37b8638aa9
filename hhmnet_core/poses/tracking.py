"""Following people from image to image.

In each image the people are matched to the tracks so that their boxes overlap most in sum
(Hungarian method: Kuhn 1955; `scipy.optimize.linear_sum_assignment`), as in SORT (Bewley et al.,
ICIP 2016). The box of a track is moved on at its speed first, so that people who cross keep their
tracks; the speed is a running mean instead of SORT's Kalman filter. A track ends when its person
has not been seen for `MAX_GAP` images.

Axes: M people of an image, V joints.
"""

from bisect import bisect_left
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from hhmnet_core.poses.boxes import boxes_around, overlaps
from hhmnet_core.poses.contract import People
from hhmnet_core.skeleton.missing import Float32Array

MIN_OVERLAP = 0.2  # intersection over union of a person and the track that continues with it
MAX_GAP = 15  # images; half a second of most videos
_NEW_SPEED = 0.3  # share of the last step in the running mean of the speed


@dataclass
class Track:
    """A person followed over the images of a video.

    Attributes:
        frames: Numbers of the images that show the person, rising.
        pixels: (V, 2) joints in each of them.
        confidence: (V,) confidence of these joints.
        world: (V, 3) joints in metres. Empty: not estimated.
        box: (4,) the box in the last image.
        speed: (2,) running mean of the box's step from image to image, in pixels.
    """

    frames: list[int] = field(default_factory=list)
    pixels: list[Float32Array] = field(default_factory=list)
    confidence: list[Float32Array] = field(default_factory=list)
    world: list[Float32Array] = field(default_factory=list)
    box: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    speed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def __len__(self) -> int:
        return len(self.frames)

    def add(self, frame: int, people: People, number: int, box: NDArray[np.float64]) -> None:
        """Continue with one of the people of an image."""
        if self.frames:
            step = (box - self.box).reshape(2, 2).mean(0) / (frame - self.frames[-1])
            share = _NEW_SPEED if len(self) > 1 else 1.0
            self.speed = (1 - share) * self.speed + share * step
        self.frames.append(frame)
        self.pixels.append(people.pixels[number].astype(np.float32))
        self.confidence.append(people.confidence[number].astype(np.float32))
        if people.world is not None:
            self.world.append(people.world[number].astype(np.float32))
        self.box = box

    def box_at(self, frame: int) -> NDArray[np.float64]:
        """Return the box (4,) where the person is expected in an image."""
        return self.box + np.tile(self.speed, 2) * (frame - self.frames[-1])


class Tracker:
    """The tracks of a video, image by image.

    Attributes:
        num_frames: Number of images so far.
        tracks: All tracks, in the order in which their people appeared.
    """

    def __init__(self) -> None:
        self.num_frames = 0
        self.tracks: list[Track] = []
        self._live: list[Track] = []

    def add(self, people: People) -> None:
        """Match the people of the next image to the tracks; the others begin tracks."""
        frame = self.num_frames
        self.num_frames += 1
        self._live = [track for track in self._live if frame - track.frames[-1] <= MAX_GAP + 1]
        boxes = boxes_around(people.pixels, people.confidence)
        track_of = self._match(boxes, frame)
        for number, box in enumerate(boxes):
            track = track_of.get(number)
            if track is None:
                track = Track()
                self.tracks.append(track)
                self._live.append(track)
            track.add(frame, people, number, box)

    def forget(self, before: int) -> None:
        """Drop what was seen before an image, so that an endless video needs bounded memory."""
        for track in self.tracks:
            count = bisect_left(track.frames, before)
            for values in (track.frames, track.pixels, track.confidence, track.world):
                del values[:count]
        self.tracks = [track for track in self.tracks if len(track)]
        self._live = [track for track in self._live if len(track)]

    def _match(self, boxes: NDArray[np.float64], frame: int) -> dict[int, Track]:
        """Return the track that each of the people continues, by their numbers."""
        if not self._live or not len(boxes):
            return {}
        shares = overlaps(boxes, np.stack([track.box_at(frame) for track in self._live]))
        pairs = zip(*linear_sum_assignment(shares, maximize=True), strict=True)
        return {
            int(number): self._live[track]
            for number, track in pairs
            if shares[number, track] >= MIN_OVERLAP
        }
