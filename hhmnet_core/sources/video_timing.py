"""Matching the frames of a skeleton to the images of its video, by the time of their presentation.

Axes: F wanted frames, T frames of the skeleton, N images of the video.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.sources.video_decoding import MIN_DURATION_SHARE, ImageTimes, NoVideoError
from hhmnet_core.store.clips import Int64Array

MIN_IMAGES_PER_FRAME = 1 / 8  # of a usable video whose speed is unknown


@dataclass(frozen=True)
class Timing:
    """The times at which the frames of a clip's skeleton were recorded.

    Attributes:
        recorded: (T,) number of each frame in the recording, from 0; sources may drop frames.
        total: Number of frames of the recording.
        rate: Frames per second. None: unknown; skeleton and video begin and end together.
        shown: Number of frames up to the last pose. None: all; fewer: the rest may be padding
            instead of time.
    """

    recorded: Int64Array
    total: int
    rate: float | None = None
    shown: int | None = None

    @staticmethod
    def whole(frames: int, rate: float | None = None) -> "Timing":
        """Return the timing of a recording whose frames are all in the clip."""
        return Timing(np.arange(frames, dtype=np.int64), frames, rate)

    def images_at(self, positions: Int64Array, images: ImageTimes) -> Int64Array:
        """Return the numbers (F,) of the video's images that show frames of the skeleton.

        Args:
            positions: (F,) frames of the skeleton, from 0.
            images: The times at which the images are shown.

        Raises:
            NoVideoError: The video ends before the skeleton, has far too few images, or the
                skeleton may be padded and its rate is unknown.
        """
        frames = self.recorded[positions]
        shown = self.total if self.shown is None else self.shown
        if images.count in (self.total, shown):
            return frames
        if self.rate and images.seconds:
            needed = shown / self.rate
            if images.seconds < MIN_DURATION_SHARE * needed:
                raise NoVideoError(
                    f"it shows {images.seconds:.1f} s, but its skeleton {needed:.1f} s"
                )
            return _images_after((frames + 0.5) / self.rate, images)
        if shown < self.total:
            raise NoVideoError(
                f"it has {images.count} images, but its skeleton {shown} frames and "
                f"{self.total - shown} frames of padding: give --fps"
            )
        if images.count < MIN_IMAGES_PER_FRAME * self.total:
            count = "1 image" if images.count == 1 else f"{images.count} images"
            raise NoVideoError(f"it has {count}, but its skeleton {self.total} frames")
        share = (frames + 0.5) / self.total
        if images.starts is None:
            return _whole(share * images.count, images)
        return _images_after(share * images.seconds, images)


def _images_after(seconds_f: NDArray[Any], images: ImageTimes) -> Int64Array:
    """Return the numbers (F,) of the images that are shown at some times."""
    if images.starts is None:
        return _whole(seconds_f * images.rate, images)
    return _whole(np.searchsorted(images.starts, seconds_f, side="right") - 1, images)


def _whole(numbers_f: NDArray[Any], images: ImageTimes) -> Int64Array:
    whole: Int64Array = np.clip(np.floor(numbers_f), 0, images.count - 1).astype(np.int64)
    return whole


def even_positions(frames: int, count: int) -> Int64Array:
    """Return the middle frames (count,) of equal sections of a clip; a short clip repeats some."""
    return np.floor((np.arange(count) + 0.5) * frames / count).astype(np.int64)
