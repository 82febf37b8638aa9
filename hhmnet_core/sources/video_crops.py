"""From a recording's images to a clip's video: which are kept, what is cut out of them.

Axes: M bodies, T frames of the skeleton, F images that are kept, V joints.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Float32Array, Int64Array, Video

Image = NDArray[np.uint8]
MOST_IMAGES, LEAST_SIZE, MOST_SIZE = 256, 16, 1024
ENOUGH = 0.9  # of the skeleton's time that a video must show
FEWEST = 1 / 8  # images for each frame of the skeleton, where nobody knows how fast either is
INSIDE = 1 / 4  # of the joints must be in the image, or their places are not this image's
LEAST_SIDE = 16.0  # of a crop, in pixels of the image


class NoVideoError(Exception):
    """A recording has no video that could be used; says why."""


@dataclass(frozen=True)
class VideoConfig:
    """What is kept of a video.

    Attributes:
        frames: Images of a clip, evenly spaced.
        size: Width and height of an image, in pixels.
        margin: What is left around the joints, as a share of their larger extent, on each side.
        quality: Of the JPEG files, 1 to 95.
    """

    frames: int = 8
    size: int = 112
    margin: float = 0.15
    quality: int = 90

    def __post_init__(self) -> None:
        for name, least, most in (
            ("frames", 1, MOST_IMAGES),
            ("size", LEAST_SIZE, MOST_SIZE),
            ("margin", 0, 2),
            ("quality", 1, 95),
        ):
            if not least <= getattr(self, name) <= most:
                raise InputError(
                    f"video.{name} must be {least} to {most}, but is {getattr(self, name)}."
                )


@dataclass(frozen=True)
class Timing:
    """When a skeleton's frames were seen.

    Attributes:
        recorded: (T,) the number of each frame in the recording, from 0: sources drop frames.
        total: Frames of the recording.
        rate: Frames a second; None: unknown, then skeleton and video begin and end together.
    """

    recorded: Int64Array
    total: int
    rate: float | None = None

    @staticmethod
    def whole(frames: int, rate: float | None = None) -> "Timing":
        """Of a recording of which every frame is kept."""
        return Timing(np.arange(frames, dtype=np.int64), frames, rate)

    def images_at(self, positions: Int64Array, images: int, rate: float | None) -> Int64Array:
        """Which of a video's images show these frames of the skeleton.

        Args:
            positions: (F,) frames of the skeleton, from 0.
            images: How many the video has.
            rate: Images a second, where known.

        Raises:
            NoVideoError: The video ends before the skeleton does, or must have.
        """
        frames = self.recorded[positions]
        if images == self.total:
            return frames
        if self.rate and rate:
            shown, needed = images / rate, self.total / self.rate
            if shown < ENOUGH * needed:
                raise NoVideoError(f"it shows {shown:.1f} s, but its skeleton {needed:.1f} s")
            at = np.floor((frames + 0.5) / self.rate * rate)
        else:
            if images < FEWEST * self.total:
                few = "1 image" if images == 1 else f"{images} images"
                raise NoVideoError(f"it has {few}, but its skeleton {self.total} frames")
            at = np.floor((frames + 0.5) / self.total * images)
        shown_at: Int64Array = np.minimum(at, images - 1).astype(np.int64)
        return shown_at


def even_positions(frames: int, count: int) -> Int64Array:
    """(count,) frames in the middle of as many equal parts of a clip; a short one repeats some."""
    return np.floor((np.arange(count) + 0.5) * frames / count).astype(np.int64)


def project(joints: Float32Array, focal: float, width: int, height: int) -> Float32Array:
    """Where a pinhole camera sees joints in metres (x right, y up, z away): (..., 3) -> (..., 2).

    The optical axis goes through the middle of the image; `focal` is in pixels. NaN behind it.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (focal * joints[..., axis] / joints[..., 2] for axis in (0, 1))
    seen = joints[..., 2] > 0
    pixels = np.stack([width / 2 + x, height / 2 - y], -1)
    return np.where(seen[..., None], pixels, np.nan).astype(np.float32)


def crop_box(
    pixels: Float32Array, width: int, height: int, margin: float
) -> tuple[float, float, float]:
    """The square around all joints of all bodies over the whole clip: left, top and side.

    Joints outside the image do not count. The square is moved into the image where it fits.

    Raises:
        NoVideoError: Few joints or none are in the image.
    """
    x, y = (pixels[..., axis].ravel() for axis in (0, 1))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    known = int(np.isfinite(x + y).sum())
    if not inside.any() or inside.sum() < INSIDE * known:
        raise NoVideoError(
            f"{int(inside.sum())} of the {known} known joints lie in its image of {width} x "
            f"{height} pixels"
        )
    x, y = x[inside], y[inside]
    side = max(float(np.ptp(x)), float(np.ptp(y)), LEAST_SIDE) * (1 + 2 * margin)

    def start(values: Float32Array, extent: int) -> float:
        first = float(values.min() + values.max() - side) / 2
        return (extent - side) / 2 if side > extent else min(max(first, 0.0), extent - side)

    return start(x, width), start(y, height), side


def make_video(
    images: Callable[[Int64Array], Sequence[Image]],
    pixels_of: Callable[[int, int], Float32Array],
    positions: Int64Array,
    config: VideoConfig,
) -> Video:
    """Cuts a clip's video out of its recording.

    Args:
        images: Gives the images that show these frames of the skeleton, (H, W, 3) or (H, W) uint8.
        pixels_of: Gives (M, T, V, 2), where the joints are in an image of this width and height.
        positions: (F,) the frames of the skeleton to show.
        config: What is kept.

    Raises:
        NoVideoError: As `images` and `crop_box` do.
    """
    from PIL import Image as Picture

    shown = images(positions)
    height, width = shown[0].shape[:2]
    pixels = pixels_of(width, height)
    pixels = np.where(np.isfinite(pixels).all(-1, keepdims=True), pixels, np.float32(np.nan))
    left, top, side = crop_box(pixels, width, height, config.margin)
    box = (round(left), round(top), round(left + side), round(top + side))
    files = []
    for image in shown:
        # Beyond the image it is black.
        cut = Picture.fromarray(image).crop(box)
        cut = cut.resize((config.size, config.size), Picture.Resampling.BILINEAR)
        file = io.BytesIO()
        cut.save(file, "JPEG", quality=config.quality)
        files.append(file.getvalue())
    corner = np.array(box[:2], dtype=np.float32)
    extent = np.array([box[2] - box[0], box[3] - box[1]], dtype=np.float32)
    joints = (pixels[:, positions] - corner) / extent
    return Video(tuple(files), positions, joints.astype(np.float32))


def decode_video(content: bytes, wanted: Callable[[int, float | None], Int64Array]) -> list[Image]:
    """Some images of a video file, (H, W, 3) uint8 RGB.

    Args:
        content: The file, of any format that FFmpeg reads.
        wanted: Tells which, rising, given how many there are and, where known, how many a second.

    Raises:
        NoVideoError: Not a video, cut off, or damaged where it is wanted.
    """
    import av

    try:
        with av.open(io.BytesIO(content), "r") as file:
            if not file.streams.video:
                raise NoVideoError("it holds no video stream")
            stream = file.streams.video[0]
            stream.thread_type = "NONE"  # recordings are read side by side already
            # The last packet only ends the stream; an empty one repeats the image before.
            sizes = [p.size for p in file.demux(stream) if p.size or p.dts is not None]
            if stream.frames > len(sizes):
                raise NoVideoError(f"it is cut off: {len(sizes)} of {stream.frames} images")
            packets = sum(size > 0 for size in sizes)
            if not packets:
                raise NoVideoError("it holds no images")
            rate = float(stream.average_rate) if stream.average_rate else None
            seconds = (file.duration or 0) / 1e6
            if rate and len(sizes) / rate < ENOUGH * seconds - 1:
                raise NoVideoError(
                    f"it is cut off: {len(sizes) / rate:.1f} of {seconds:.1f} s are there"
                )
            at = wanted(packets, rate)
        found: dict[int, Image] = {}
        with av.open(io.BytesIO(content), "r") as file:
            stream = file.streams.video[0]
            stream.thread_type = "NONE"
            for number, frame in enumerate(file.decode(stream)):
                if number in at:
                    if frame.is_corrupt:
                        raise NoVideoError(f"its image {number} is damaged")
                    if round(frame.rotation) % 360:
                        raise NoVideoError(
                            f"its images are stored turned by {round(frame.rotation)} degrees: "
                            "write it upright"
                        )
                    found[number] = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                if number >= at[-1]:
                    break
        return [found[number] for number in at.tolist()]
    except KeyError as error:
        raise NoVideoError(f"its image {error} cannot be decoded") from error
    except (av.FFmpegError, EOFError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise NoVideoError(f"it cannot be decoded ({said})") from error
