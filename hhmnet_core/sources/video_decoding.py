"""Decoding chosen images of a video file."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.checks.memory import check_file_memory
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.store.clips import Int64Array

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Image = NDArray[np.uint8]
MIN_DURATION_SHARE = 0.9  # of the expected duration that a usable video must cover


class NoVideoError(Exception):
    """A recording has no usable video; the message gives the reason."""


def decode_video(content: bytes, choose: Callable[[int, float | None], Int64Array]) -> list[Image]:
    """Decode some images of a video file.

    Args:
        content: The file, in any format that FFmpeg reads.
        choose: Function that returns the rising numbers of the wanted images, given the number of
            images and, if known, the images per second.

    Returns:
        The images, (H, W, 3) uint8 RGB.

    Raises:
        NoVideoError: Not a video, cut off, rotated, or damaged at a wanted image.
    """
    import av

    try:
        with av.open(io.BytesIO(content), "r") as file:
            numbers = choose(*_count_images(file))
        with av.open(io.BytesIO(content), "r") as file:
            return _decode(file, numbers)
    except KeyError as error:
        raise NoVideoError(f"its image {error} cannot be decoded") from error
    except (av.FFmpegError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NoVideoError(f"it cannot be decoded ({reason})") from error


def _video_stream(file: "InputContainer") -> "VideoStream":
    if not file.streams.video:
        raise NoVideoError("it holds no video stream")
    stream = file.streams.video[0]
    stream.thread_type = "NONE"  # recordings are already read in parallel
    return stream


def _count_images(file: "InputContainer") -> tuple[int, float | None]:
    """Return the number of images and, if known, the images per second of a whole video."""
    stream = _video_stream(file)
    # The last packet only ends the stream; an empty one repeats the image before it.
    sizes = [p.size for p in file.demux(stream) if p.size or p.dts is not None]
    if stream.frames > len(sizes):
        raise NoVideoError(f"it is cut off: {len(sizes)} of {stream.frames} images")
    images = sum(size > 0 for size in sizes)
    if not images:
        raise NoVideoError("it holds no images")
    rate = float(stream.average_rate) if stream.average_rate else None
    seconds = (file.duration or 0) / 1e6
    if rate and len(sizes) / rate < MIN_DURATION_SHARE * seconds - 1:
        raise NoVideoError(f"it is cut off: {len(sizes) / rate:.1f} of {seconds:.1f} s are there")
    return images, rate


def _decode(file: "InputContainer", numbers: Int64Array) -> list[Image]:
    decoded: dict[int, Image] = {}
    stream, images = _video_stream(file), len(set(numbers.tolist()))
    _check_size(images, stream.width, stream.height)
    for number, frame in enumerate(file.decode(stream)):
        if number in numbers:
            _check_size(images, frame.width, frame.height)
            if frame.is_corrupt:
                raise NoVideoError(f"its image {number} is damaged")
            if round(frame.rotation) % 360:
                raise NoVideoError(
                    f"its images are rotated by {round(frame.rotation)} degrees: write it upright"
                )
            decoded[number] = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
        if number >= numbers[-1]:
            break
    return [decoded[number] for number in numbers.tolist()]


def _check_size(images: int, width: int, height: int) -> None:
    """Raise NoVideoError where images of a size exceed the limit of memory."""
    try:
        what = f"{images} images of {width} x {height} pixels"
        check_file_memory(images * width * height * 3, what)
    except AccessError:
        raise
    except InputError as error:
        raise NoVideoError(str(error).rstrip(".")) from error
