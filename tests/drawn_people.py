"""People made of numbers, for tests of what is done with the poses of an estimator."""

from collections.abc import Iterable, Sequence

import numpy as np

from hhmnet_core.poses.contract import People
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.video_decoding import Image

LAYOUT = get_layout("blazepose_33")
_SHAPE = np.random.default_rng(7).uniform(-1, 1, (LAYOUT.num_joints, 3)).astype(np.float32)


def person(x: float, y: float = 100, size: float = 40, tilt: float = 0.0) -> People:
    """Return one person around a place in an image; `tilt` moves the joints a little."""
    shape = _SHAPE * (1, -1, 1)
    pixels = np.array([x, y], np.float32) + size * _SHAPE[:, :2] + tilt * size * _SHAPE[:, 2:]
    sure = np.full((1, LAYOUT.num_joints), 0.9, np.float32)
    return People(pixels[None].astype(np.float32), sure, shape[None].astype(np.float32))


def crowd(*people: People) -> People:
    """Return people of one image together."""
    if not people:
        return People.nobody(LAYOUT)
    return People(
        np.concatenate([each.pixels for each in people]),
        np.concatenate([each.confidence for each in people]),
        np.concatenate([each.world for each in people if each.world is not None]),
    )


class Script:
    """An estimator that returns prepared people, image by image."""

    layout = LAYOUT

    def __init__(self, images: Sequence[People]) -> None:
        self.images, self.next = images, 0

    def reset(self) -> None:
        self.next = 0

    def estimate(self, image: Image) -> People:
        self.next += 1
        return self.images[self.next - 1]


def blank_images(count: int, width: int = 320, height: int = 240) -> Iterable[Image]:
    """Yield grey images."""
    for _ in range(count):
        yield np.full((height, width, 3), 128, np.uint8)
