"""The contract of a pose estimator: images in, people out.

Axes: M people of an image, V joints.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.missing import Float32Array
from hhmnet_core.sources.video_decoding import Image


@dataclass(frozen=True)
class People:
    """The people of one image, in any order.

    Attributes:
        pixels: (M, V, 2) float32 joints in the image, x to the right and y down, in pixels.
        confidence: (M, V) float32 confidence of each joint, 0 to 1.
        world: (M, V, 3) float32 joints in metres, x right, y up, z away from the camera, from the
            middle of the hips. None: the estimator knows pixels only.
    """

    pixels: Float32Array
    confidence: Float32Array
    world: Float32Array | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    @staticmethod
    def nobody(layout: Layout) -> "People":
        """Return the people of an image that shows nobody."""
        joints = layout.num_joints
        world = np.zeros((0, joints, 3), np.float32) if layout.channels == 3 else None
        return People(
            np.zeros((0, joints, 2), np.float32), np.zeros((0, joints), np.float32), world
        )


class Estimator(Protocol):
    """A pose estimator that sees the images of one video, one after the other."""

    @property
    def layout(self) -> Layout:
        """Layout of the people's joints. With 3 coordinates `People.world` is given."""

    def reset(self) -> None:
        """Forget the images of the last video."""

    def estimate(self, image: Image) -> People:
        """Return the people of the next image, (H, W, 3) uint8 RGB."""


class EstimatorConfig(Protocol):
    """Settings of an estimator, which can be pickled; the estimator itself need not be."""

    @property
    def layout(self) -> Layout:
        """Layout of the estimator's joints."""

    @property
    def advice(self) -> str:
        """What to try where nobody is found, as the end of a message."""

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the estimator's results: its name, models and settings.

        Raises:
            InputError: A model or a package is missing.
        """

    def open(self, threads: int = 1) -> Estimator:
        """Load the models. Raises InputError where one, or a package, is missing.

        Args:
            threads: Number of people whose joints are found side by side. No result depends on it.
        """
