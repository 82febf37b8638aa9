"""Square regions of an image, turned so that the body in them is upright, and images of them.

After MediaPipe's `alignment_points_to_rects_calculator.cc`, `rect_transformation_calculator.cc` and
`image_to_tensor_calculator.cc`. Pixels are sampled at their centres, as MediaPipe does on a GPU.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.skeleton.missing import Float32Array
from hhmnet_core.sources.video_decoding import Image

MARGIN = 1.25  # side of a region by twice the distance of its two alignment points
MIN_SIDE = 2.0  # pixels


@dataclass(frozen=True)
class Region:
    """A square in an image.

    Attributes:
        x: Centre, in pixels from the left.
        y: Centre, in pixels from the top.
        side: Length of a side, in pixels.
        angle: Rotation in radians, clockwise as seen.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @staticmethod
    def around(centre_2: NDArray[np.floating], tip_2: NDArray[np.floating]) -> "Region":
        """Return the region of a body.

        Args:
            centre_2: (2,) middle of the hips, in pixels.
            tip_2: (2,) the point on the circle around the body that is above its head.
        """
        dx, dy = (float(value) for value in np.subtract(tip_2, centre_2))
        turn = math.pi / 2 - math.atan2(-dy, dx)
        angle = turn - 2 * math.pi * math.floor((turn + math.pi) / (2 * math.pi))
        side = max(2 * MARGIN * math.hypot(dx, dy), MIN_SIDE)
        return Region(float(centre_2[0]), float(centre_2[1]), side, angle)

    @staticmethod
    def whole(width: int, height: int) -> "Region":
        """Return the smallest square around an image."""
        return Region(width / 2, height / 2, max(width, height))

    @property
    def _axes(self) -> NDArray[np.float64]:
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.array([[cos, sin], [-sin, cos]])

    def to_image(self, shares_n2: NDArray[np.floating]) -> Float32Array:
        """Return the pixels (..., 2) of points given in shares of the region, 0 to 1."""
        offset = (np.asarray(shares_n2, np.float64) - 0.5) * self.side
        return (offset @ self._axes + (self.x, self.y)).astype(np.float32)

    def turn(self, vectors_n3: NDArray[np.floating]) -> Float32Array:
        """Turn vectors (..., 3) of the region into the image; their depth stays."""
        turned = np.array(vectors_n3, np.float64)
        turned[..., :2] = turned[..., :2] @ self._axes
        return turned.astype(np.float32)

    def cut(self, image: Image, size: int) -> Float32Array:
        """Return the region as an image (size, size, 3) float32, 0 to 255.

        Beyond the image the values of its border are repeated.

        Args:
            image: (H, W, 3) uint8.
            size: Pixels of a side.
        """
        middles = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) - 0.5
        cos, sin = np.float32(math.cos(self.angle)), np.float32(math.sin(self.angle))
        along = (middles * np.float32(self.side))[None, :]
        down = along.T
        return _sample(
            image,
            cos * along - sin * down + np.float32(self.x - 0.5),
            sin * along + cos * down + np.float32(self.y - 0.5),
        )


def shrink(image: Image, size: int) -> Float32Array:
    """Return a whole image in the middle of a black square (size, size, 3) float32, 0 to 255.

    Pixels are averaged over the area that they stand for: of people who are small in a large image,
    MediaPipe's reading of single pixels leaves too little.
    """
    from PIL import Image as Picture

    height, width = image.shape[:2]
    scale = size / max(height, width)
    small = max(round(width * scale), 1), max(round(height * scale), 1)
    picture = Picture.fromarray(image).resize(small, Picture.Resampling.BILINEAR, reducing_gap=2.0)
    square = np.zeros((size, size, 3), np.float32)
    top, left = (size - small[1]) // 2, (size - small[0]) // 2
    square[top : top + small[1], left : left + small[0]] = np.asarray(picture)
    return square


def _sample(image: Image, x: Float32Array, y: Float32Array) -> Float32Array:
    """Return an image (..., 3) at positions between its pixels, linearly; the border repeats."""
    height, width = image.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = x.astype(np.int32), y.astype(np.int32)
    first = top * width + left
    right = (left < width - 1).astype(np.int32)
    below = (top < height - 1).astype(np.int32) * width
    share_x, share_y = (x - left)[..., None], (y - top)[..., None]
    rows = np.ascontiguousarray(image).reshape(-1, 3)

    def at(index: NDArray[np.int32]) -> Float32Array:
        return np.asarray(rows.take(index, 0), np.float32)

    upper, lower = at(first), at(first + below)
    upper += share_x * (at(first + right) - upper)
    lower += share_x * (at(first + below + right) - lower)
    return np.asarray(upper + share_y * (lower - upper), np.float32)
