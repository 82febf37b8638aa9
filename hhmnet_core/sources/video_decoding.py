"""Decoding chosen images of a video file."""

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.checks.memory import check_file_memory
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.store.clips import Int64Array

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Image = NDArray[np.uint8]
MIN_DURATION_SHARE = 0.9  # of the expected duration that a usable video must cover


class NoVideoError(Exception):
    """A recording has no usable video; the message gives the reason."""


class _OtherImagesError(Exception):
    """The decoder returns other images than the packets of the file promise."""


@dataclass(frozen=True)
class ImageTimes:
    """The times at which the images of a video are presented, from the first one.

    Attributes:
        count: Number N of images.
        rate: Images per second, if it is constant and known. 0: unknown.
        starts: (N,) seconds at which the images appear, rising, if the rate is not constant.
        seconds: Time until the last image ends. 0: unknown.
    """

    count: int
    rate: float = 0.0
    starts: NDArray[np.float64] | None = None
    seconds: float = 0.0

    @staticmethod
    def constant(count: int, rate: float) -> "ImageTimes":
        """Return the times of images at a constant rate, 0 if it is unknown."""
        return ImageTimes(count, rate, None, count / rate if rate else 0.0)


def decode_video(content: bytes, choose: Callable[[ImageTimes], Int64Array]) -> list[Image]:
    """Decode some images of a video file, as players present it.

    Images that a file holds for decoding only, before its first presented one, do not count. An
    image is turned as the file says. Pixels that are not square stay as they are.

    Args:
        content: The file, in any format that FFmpeg reads.
        choose: Function that returns the rising numbers of the wanted images, given the times of
            all.

    Returns:
        The images, (H, W, 3) uint8 RGB.

    Raises:
        NoVideoError: Not a video, cut off, or damaged at a wanted image.
    """
    import av

    try:
        with av.open(io.BytesIO(content), "r") as file:
            listed = _list_images(file)
        if listed.is_plain:
            with av.open(io.BytesIO(content), "r") as file:
                with suppress(_OtherImagesError):
                    return _decode(file, choose(listed.times()), listed)
        # Not every packet becomes an image: what the decoder returns decides.
        with av.open(io.BytesIO(content), "r") as file:
            decoded = [frame.pts for frame in file.decode(_video_stream(file))]
        listed = replace(listed, presented=decoded)
        with av.open(io.BytesIO(content), "r") as file:
            return _decode(file, choose(listed.times()), listed)
    except _OtherImagesError as error:
        raise NoVideoError(f"its image {error} cannot be decoded") from error
    except (av.FFmpegError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NoVideoError(f"it cannot be decoded ({reason})") from error


def iterate_images(content: bytes) -> Iterator[Image]:
    """Decode all images of a video file one after the other, as `decode_video` numbers them.

    Args:
        content: The file, in any format that FFmpeg reads.

    Yields:
        The images, (H, W, 3) uint8 RGB. One at a time is held in memory.

    Raises:
        NoVideoError: Not a video, cut off, or damaged at an image.
    """
    import av

    number = -1
    try:
        with av.open(io.BytesIO(content), "r") as file:
            _list_images(file)
        with av.open(io.BytesIO(content), "r") as file:
            for number, frame in enumerate(file.decode(_video_stream(file))):
                _check_size(1, frame.width, frame.height)
                if frame.is_corrupt:
                    raise NoVideoError(f"its image {number} is damaged")
                yield upright(frame)
    except (av.FFmpegError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NoVideoError(f"it cannot be decoded ({reason})") from error
    if number < 0:
        raise NoVideoError("it holds no images that can be decoded")


def image_times(content: bytes) -> ImageTimes:
    """Return the times at which the images of a video are presented, without decoding them.

    Args:
        content: The file, in any format that FFmpeg reads.

    Raises:
        NoVideoError: Not a video, or cut off.
    """
    import av

    try:
        with av.open(io.BytesIO(content), "r") as file:
            return _list_images(file).times()
    except (av.FFmpegError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NoVideoError(f"it cannot be decoded ({reason})") from error


def _video_stream(file: "InputContainer") -> "VideoStream":
    if not file.streams.video:
        raise NoVideoError("it holds no video stream")
    stream = file.streams.video[0]
    if stream.codec_context is None:
        raise NoVideoError("it is of an unknown codec")
    stream.thread_type = "NONE"  # recordings are already read in parallel
    return stream


@dataclass(frozen=True)
class _Listed:
    """The images of a file, by its packets.

    Attributes:
        presented: Time of each image, in the stream's unit, in the order of presentation. None for
            an unknown one.
        unit: Seconds of the stream's unit.
        rate: Images per second by the file's header. 0: unknown.
        is_plain: Whether the decoder returns an image for each packet that has one.
    """

    presented: list[int | None]
    unit: Fraction
    rate: float
    is_plain: bool

    def times(self) -> ImageTimes:
        count, times = len(self.presented), [time for time in self.presented if time is not None]
        if not count:
            raise NoVideoError("it holds no images that can be decoded")
        if len(times) < count or count < 3 or len(set(times)) < count:
            return ImageTimes.constant(count, self.rate)
        steps = np.diff(times)
        if (steps == steps[0]).all():
            return ImageTimes.constant(count, float(1 / (int(steps[0]) * self.unit)))
        starts = (np.array(times, np.float64) - times[0]) * float(self.unit)
        return ImageTimes(count, 0.0, starts, float(2 * starts[-1] - starts[-2]))


def _list_images(file: "InputContainer") -> _Listed:
    """List the images of a whole video by its packets, without decoding them."""
    stream = _video_stream(file)
    # The last packet only ends the stream; an empty one repeats the image before it.
    packets = [p for p in file.demux(stream) if p.size or p.dts is not None]
    rate = float(stream.average_rate) if stream.average_rate else 0.0
    seconds = (file.duration or 0) / 1e6
    # A file that was trimmed without encoding lists images that it does not present.
    is_trimmed = 0 < seconds * rate < stream.frames - 1
    if stream.frames > len(packets) and not is_trimmed:
        raise NoVideoError(f"it is cut off: {len(packets)} of {stream.frames} images")
    images = [packet for packet in packets if packet.size]
    if not images:
        raise NoVideoError("it holds no images")
    if rate and len(packets) / rate < MIN_DURATION_SHARE * seconds - 1:
        raise NoVideoError(f"it is cut off: {len(packets) / rate:.1f} of {seconds:.1f} s are there")
    times = [packet.pts for packet in images]
    known = [time for time in times if time is not None]
    return _Listed(
        presented=[*sorted(known)] if len(known) == len(times) else times,
        unit=Fraction(stream.time_base or 1),
        rate=rate,
        is_plain=bool(images[0].is_keyframe)
        and not is_trimmed
        and not any(packet.is_discard or packet.is_corrupt for packet in images),
    )


def _decode(file: "InputContainer", numbers: Int64Array, listed: _Listed) -> list[Image]:
    """Decode the images of some numbers. Raises _OtherImagesError where others are listed."""
    decoded: dict[int, Image] = {}
    stream, wanted = _video_stream(file), set(numbers.tolist())
    _check_size(len(wanted), stream.width, stream.height)
    for number, frame in enumerate(file.decode(stream)):
        times = {frame.pts, *listed.presented[number : number + 1]} - {None}
        if number >= len(listed.presented) or len(times) > 1:
            raise _OtherImagesError(number)
        if number in wanted:
            _check_size(len(wanted), frame.width, frame.height)
            if frame.is_corrupt:
                raise NoVideoError(f"its image {number} is damaged")
            decoded[number] = upright(frame)
        if len(decoded) == len(wanted):
            break
    if missing := sorted(wanted - decoded.keys()):
        raise _OtherImagesError(missing[0])
    return [decoded[number] for number in numbers.tolist()]


def upright(frame: "VideoFrame") -> Image:
    """Return an image turned as its file says."""
    image = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    quarters, rest = divmod(round(frame.rotation), 90)
    if rest:
        raise NoVideoError(f"its images are turned by {round(frame.rotation)} degrees")
    return np.ascontiguousarray(np.rot90(image, quarters))


def _check_size(images: int, width: int, height: int) -> None:
    """Raise NoVideoError where images of a size exceed the limit of memory."""
    try:
        what = f"{images} images of {width} x {height} pixels"
        check_file_memory(images * width * height * 3, what)
    except AccessError:
        raise
    except InputError as error:
        raise NoVideoError(str(error).rstrip(".")) from error
