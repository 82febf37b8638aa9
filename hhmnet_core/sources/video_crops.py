"""A clip's video: images of its recording, cropped around the joints.

Axes: M bodies, T frames of the skeleton, F images that are kept, V joints.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.sources.video_decoding import Image, NoVideoError
from hhmnet_core.store.clips import Float32Array, Int64Array, Video

# Returns the images that show frames (F,) of the skeleton, (H, W, 3) or (H, W) uint8.
ImageReader = Callable[[Int64Array], Sequence[Image]]
# Returns the joints' positions (M, T, V, 2) in an image of a width and a height, in pixels.
JointLocator = Callable[[int, int], Float32Array]

MAX_FRAMES, MIN_SIZE, MAX_SIZE = 256, 16, 1024
MIN_JOINTS_INSIDE = 1 / 4  # of the known joints; with fewer, the positions belong to another image
MIN_CROP_SIDE = 16.0  # pixels of the recorded image


@dataclass(frozen=True)
class VideoConfig:
    """Format of the stored videos.

    Attributes:
        frames: Number of images per clip, evenly spaced in time.
        size: Width and height of the images, in pixels.
        margin: Space around the joints on each side, as a share of their larger extent.
        quality: JPEG quality of the images, 1 to 95.

    Raises:
        InputError: A value out of range.
    """

    frames: int = 8
    size: int = 112
    margin: float = 0.15
    quality: int = 90

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("frames", 1, MAX_FRAMES),
            ("size", MIN_SIZE, MAX_SIZE),
            ("margin", 0, 2),
            ("quality", 1, 95),
        ):
            value = getattr(self, name)
            if not lowest <= value <= highest:
                raise InputError(f"video.{name} must be {lowest} to {highest}, but is {value}.")


@dataclass(frozen=True)
class Camera:
    """A pinhole camera whose optical axis goes through the middle of the image.

    Attributes:
        focal: Focal length, in pixels of an image `width` wide.
        width: Width of that image, in pixels.

    Raises:
        InputError: A focal length that is not above 0.
    """

    focal: float
    width: int

    def __post_init__(self) -> None:
        if self.focal <= 0:
            raise InputError(f"focal must be above 0 pixels, but is {self.focal}.")

    def locator(self, joints: Float32Array) -> JointLocator:
        """Return the function that locates joints (M, T, V, 3) in images of any size."""
        return lambda width, height: project(joints, self.focal * width / self.width, width, height)


def project(joints: Float32Array, focal: float, width: int, height: int) -> Float32Array:
    """Project joints into a pinhole camera's image: (..., 3) metres -> (..., 2) pixels.

    The optical axis goes through the middle of the image. Joints behind the camera become NaN.

    Args:
        joints: Camera coordinates: x right, y up, z away.
        focal: Focal length, in pixels.
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (focal * joints[..., axis] / joints[..., 2] for axis in (0, 1))
    in_front = joints[..., 2] > 0
    pixels = np.stack([width / 2 + x, height / 2 - y], -1)
    return np.where(in_front[..., None], pixels, np.nan).astype(np.float32)


def crop_box(
    pixels: Float32Array, width: int, height: int, margin: float
) -> tuple[float, float, float]:
    """Return left, top and side of the square around all joints of a clip, in pixels.

    Joints outside the image are ignored. The square is moved into the image if it fits.

    Args:
        pixels: (..., 2) positions of all joints of all bodies and frames.
        width: Width of the image, in pixels.
        height: Height of the image, in pixels.
        margin: Space on each side, as a share of the joints' larger extent.

    Raises:
        NoVideoError: Few or no joints lie in the image.
    """
    x, y = (pixels[..., axis].ravel() for axis in (0, 1))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    num_inside, num_known = int(inside.sum()), int(np.isfinite(x + y).sum())
    if not num_inside or num_inside < MIN_JOINTS_INSIDE * num_known:
        raise NoVideoError(
            f"{num_inside} of the {num_known} known joints lie in its image of {width} x {height} "
            "pixels"
        )
    x, y = x[inside], y[inside]
    side = max(float(np.ptp(x)), float(np.ptp(y)), MIN_CROP_SIDE) * (1 + 2 * margin)

    def start(values: Float32Array, extent: int) -> float:
        centred = float(values.min() + values.max() - side) / 2
        return (extent - side) / 2 if side > extent else min(max(centred, 0.0), extent - side)

    return start(x, width), start(y, height), side


def make_video(
    read_images: ImageReader, locate: JointLocator, positions: Int64Array, config: VideoConfig
) -> Video:
    """Crop a clip's video out of its recording.

    Args:
        read_images: Function that returns the images of frames of the skeleton.
        locate: Function that returns the joints' positions in an image of a given size.
        positions: (F,) frames of the skeleton to show.
        config: Format of the video.

    Raises:
        NoVideoError: `read_images` fails, or few or no joints lie in the images.
    """
    images = read_images(positions)
    height, width = images[0].shape[:2]
    pixels = locate(width, height)
    pixels = np.where(np.isfinite(pixels).all(-1, keepdims=True), pixels, np.float32(np.nan))
    left, top, side = crop_box(pixels, width, height, config.margin)
    box = (round(left), round(top), round(left + side), round(top + side))
    corner = np.array(box[:2], dtype=np.float32)
    extent = np.array([box[2] - box[0], box[3] - box[1]], dtype=np.float32)
    joints = (pixels[:, positions] - corner) / extent
    files = tuple(_encode_crop(image, box, config) for image in images)
    return Video(files, positions, joints.astype(np.float32))


def _encode_crop(image: Image, box: tuple[int, int, int, int], config: VideoConfig) -> bytes:
    """Return a part of an image as a JPEG file; it is black beyond the image."""
    from PIL import Image as Picture

    crop = Picture.fromarray(image).crop(box)
    crop = crop.resize((config.size, config.size), Picture.Resampling.BILINEAR)
    file = io.BytesIO()
    crop.save(file, "JPEG", quality=config.quality)
    return file.getvalue()
