"""Matching the frames of a skeleton to the images of its video."""

from dataclasses import dataclass

import numpy as np

from hhmnet_core.sources.video_decoding import MIN_DURATION_SHARE, NoVideoError
from hhmnet_core.store.clips import Int64Array

MIN_IMAGES_PER_FRAME = 1 / 8  # of a usable video whose speed is unknown


@dataclass(frozen=True)
class Timing:
    """The times at which the frames of a clip's skeleton were recorded.

    Attributes:
        recorded: (T,) number of each frame in the recording, from 0; sources may drop frames.
        total: Number of frames of the recording.
        rate: Frames per second. None: unknown; skeleton and video begin and end together.
    """

    recorded: Int64Array
    total: int
    rate: float | None = None

    @staticmethod
    def whole(frames: int, rate: float | None = None) -> "Timing":
        """Return the timing of a recording whose frames are all in the clip."""
        return Timing(np.arange(frames, dtype=np.int64), frames, rate)

    def images_at(self, positions: Int64Array, images: int, rate: float | None) -> Int64Array:
        """Return the numbers (F,) of the video's images that show frames of the skeleton.

        Args:
            positions: (F,) frames of the skeleton, from 0.
            images: Number of images of the video.
            rate: Images per second, if known.

        Raises:
            NoVideoError: The video ends before the skeleton, or has far too few images.
        """
        frames = self.recorded[positions]
        if images == self.total:
            return frames
        if self.rate and rate:
            shown, needed = images / rate, self.total / self.rate
            if shown < MIN_DURATION_SHARE * needed:
                raise NoVideoError(f"it shows {shown:.1f} s, but its skeleton {needed:.1f} s")
            exact = (frames + 0.5) / self.rate * rate
        else:
            if images < MIN_IMAGES_PER_FRAME * self.total:
                count = "1 image" if images == 1 else f"{images} images"
                raise NoVideoError(f"it has {count}, but its skeleton {self.total} frames")
            exact = (frames + 0.5) / self.total * images
        numbers: Int64Array = np.minimum(np.floor(exact), images - 1).astype(np.int64)
        return numbers


def even_positions(frames: int, count: int) -> Int64Array:
    """Return the middle frames (count,) of equal sections of a clip; a short clip repeats some."""
    return np.floor((np.arange(count) + 0.5) * frames / count).astype(np.int64)
