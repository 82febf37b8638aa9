"""Handing the newest image of a source from the thread that reads it to the one that uses it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hhmnet_core.sources.video_decoding import Image


@dataclass(frozen=True)
class Arrived:
    """An image of a source.

    Attributes:
        decode: Function that returns the image, (H, W, 3) uint8 RGB. Images that are dropped are
            never converted.
        time: Seconds at which it was shown, by the clock of `ImageClock`.
        arrival: Seconds at which it arrived, by the monotonic clock.
    """

    decode: Callable[[], Image]
    time: float
    arrival: float

    @property
    def lag(self) -> float:
        """Seconds that it came later than the promptest images of its source."""
        return self.arrival - self.time


class NewestImage:
    """A ring buffer of one place: each image takes the place of the one before.

    More places could only keep images that are older than the one that is wanted.

    Attributes:
        seen: Number of images that arrived.
        dropped: Number of images that were overwritten before they were taken.
    """

    def __init__(self) -> None:
        self.seen = self.dropped = 0
        self._image: Arrived | None = None
        self._changed = threading.Condition()

    def put(self, image: Arrived) -> None:
        """Put the newest image. Never waits for the one who takes it."""
        with self._changed:
            self.seen += 1
            self.dropped += self._image is not None
            self._image = image
            self._changed.notify()

    def take(self, wait: float) -> Arrived | None:
        """Return the newest image that was not taken before, None where none comes in time.

        Args:
            wait: Seconds to wait for it.
        """
        with self._changed:
            if self._image is None:
                self._changed.wait(wait)
            image, self._image = self._image, None
            return image
