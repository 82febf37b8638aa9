"""Encoding images one by one as an H.264 video."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri
from hhmnet_core.sources.video_decoding import Image

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

ENDINGS = (".mp4", ".mkv", ".mov")
MAX_SIDE = 1280  # pixels; larger images are made smaller
DEFAULT_RATE = 30.0
_UNIT = Fraction(1, 1000)  # seconds, of the times of images


def check_video_name(out: str) -> None:
    """Raise InputError for a file of a kind that is not written."""
    if not out.lower().endswith(ENDINGS):
        raise InputError(f"{out} is no {', '.join(ENDINGS)}: give the video such a name.")


def write_video(images: Iterable[Image], rate: float, out: str) -> int:
    """Write a video, one image in memory at a time, and return the number of images.

    Args:
        images: (H, W, 3) uint8 RGB, all of one size.
        rate: Images per second.
        out: Path or URI of the file.

    Raises:
        InputError: Another kind of file, or one that cannot be written.
    """
    check_video_name(out)
    with TemporaryDirectory() as temporary:
        local = Path(temporary, "video" + Path(out).suffix.lower())
        with encoder(local, rate) as encode:
            count = 0
            for image in images:
                encode(image)
                count += 1
        folder, name = split_uri(out)
        folder.write(name, local.read_bytes())
    return count


@contextmanager
def encoder(file: Path, rate: float) -> "Iterator[Encode]":
    """Yield a function that adds an image to a local video file, which is complete at the end."""
    import av

    with av.open(str(file), "w") as container:
        encode = Encode(container, rate)
        yield encode
        encode.finish()


class Encode:
    """Adds images to a video.

    Args:
        container: The opened file.
        rate: Images per second, about as many for images that are given their times.
        is_timed: Whether images are given their times.
    """

    def __init__(self, container: "OutputContainer", rate: float, is_timed: bool = False) -> None:
        self._container = container
        self._stream: VideoStream | None = None
        self._rate, self._is_timed = Fraction(rate).limit_denominator(1001), is_timed
        self._last = -1

    def __call__(self, image: Image, seconds: float = 0.0) -> None:
        """Add an image.

        Args:
            image: (H, W, 3) uint8 RGB. Images of another size than the first one are scaled to it.
            seconds: Time at which it is shown, from the begin of the video, if images are timed.
        """
        import av

        if self._stream is None:
            self._stream = self._open(*image.shape[:2])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        if self._is_timed:
            self._last = max(self._last + 1, round(seconds / _UNIT))
            frame.pts, frame.time_base = self._last, _UNIT
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def finish(self) -> None:
        """Write the images that are still in the encoder."""
        if self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)

    def _open(self, height: int, width: int) -> "VideoStream":
        scale = min(1.0, MAX_SIDE / max(height, width))
        stream = self._container.add_stream("libx264", rate=self._rate)
        # Colours are stored for two by two pixels.
        stream.width, stream.height = (
            max(2, round(side * scale / 2) * 2) for side in (width, height)
        )
        stream.pix_fmt = "yuv420p"
        if self._is_timed:
            stream.codec_context.time_base = _UNIT
        stream.options = {"preset": "veryfast", "crf": "23"}
        return stream
