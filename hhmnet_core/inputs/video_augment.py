"""Augmentation of a batch of videos, pixels and joints together.

It is drawn on the host and made on the device.

Shapes: N clips, F images of H x W, M bodies, V joints.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.randomness import BatchRandom
from hhmnet_core.skeleton.layouts import Layout


@dataclass
class VideoAugmentConfig:
    """Strength of the training augmentation of video. Zeros switch it off.

    Attributes:
        zoom: Largest relative change of size.
        move: Largest shift, as a share of the image.
        turn: Largest rotation in the image plane, degrees.
        brightness: Largest relative change of brightness, equal for all images of a clip.
        mirror: Probability of mirroring, which swaps left and right joints. Not for classes that
            differ by side.
    """

    zoom: float = 0.15
    move: float = 0.08
    turn: float = 8.0
    brightness: float = 0.2
    mirror: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("zoom", 0.9), ("move", 1), ("turn", 180), ("brightness", 1),
                           ("mirror", 1)):  # fmt: skip
            if not 0 <= getattr(self, name) <= most:
                raise InputError(
                    f"augment.{name} must be 0 to {most}, but is {getattr(self, name)}."
                )


@dataclass(frozen=True)
class AugmentedVideo:
    """A batch of augmented videos.

    Attributes:
        images_nfchw: (N, F, 3, H, W) in [0, 1].
        joints_nmfv2: (N, M, F, V, 2) joints in shares of the image.
    """

    images_nfchw: Tensor
    joints_nmfv2: Tensor


@dataclass(frozen=True)
class VideoChange:
    """What augmentation does to each clip of a batch, the same for all its images.

    Attributes:
        read_n22: (N, 2, 2) maps of positions in the new image, in [-1, 1], to the old one.
        written_n22: (N, 2, 2) their inverses.
        move_n2: (N, 2) what is added to the mapped positions.
        mirrored_n: (N,) bool, which clips are mirrored.
        brightness_n: (N,) factors of the brightness.
        other_side_v: (V,) the joint on the other side of each.
    """

    read_n22: Tensor
    written_n22: Tensor
    move_n2: Tensor
    mirrored_n: Tensor
    brightness_n: Tensor
    other_side_v: Tensor

    def apply(self, images_nfchw: Tensor, joints_nmfv2: Tensor) -> AugmentedVideo:
        """Return zoomed, shifted, rotated, brightened and mirrored videos.

        Args:
            images_nfchw: (N, F, 3, H, W) uint8, on the device of the change.
            joints_nmfv2: (N, M, F, V, 2) joints in shares of the image, likewise. NaN stays.
        """
        images = images_nfchw.float() / 255
        clips, frames = images.shape[:2]
        theta_n23 = torch.cat([self.read_n22, self.move_n2[..., None]], 2)
        field = F.affine_grid(
            theta_n23.repeat_interleave(frames, 0),
            [clips * frames, *images.shape[2:]],
            align_corners=False,
        )
        images = F.grid_sample(images.flatten(0, 1), field, align_corners=False)
        images = images.unflatten(0, (clips, frames))
        images = (images * self.brightness_n.view(-1, 1, 1, 1, 1)).clamp(0, 1)
        placed = 2 * joints_nmfv2 - 1 - self.move_n2[:, None, None, None]
        placed = torch.einsum("nij,nmfvj->nmfvi", self.written_n22, placed)
        joints = (placed + 1) / 2
        swapped = joints.index_select(3, self.other_side_v)
        joints = torch.where(self.mirrored_n.view(-1, 1, 1, 1, 1), swapped, joints)
        return AugmentedVideo(images, joints)


def draw_video_change(
    config: VideoAugmentConfig, layout: Layout, random: BatchRandom
) -> VideoChange:
    """Draw how each clip of a batch is zoomed, shifted, rotated, brightened and mirrored.

    Args:
        config: Strength of each change.
        layout: Layout of the joints, with those that a mirror swaps.
        random: The random numbers of these clips.
    """
    zoom_n = 1 + random.uniform(low=-config.zoom, high=config.zoom)
    turn_n = math.radians(config.turn) * random.uniform(low=-1.0, high=1.0)
    move_n2 = 2 * config.move * random.uniform(2, low=-1.0, high=1.0)
    mirrored_n = random.uniform() < config.mirror
    sign_n = 1 - 2 * mirrored_n.float()
    cos, sin = turn_n.cos() / zoom_n, turn_n.sin() / zoom_n
    read_n22 = torch.stack([cos * sign_n, -sin, sin * sign_n, cos], 1).view(-1, 2, 2)
    brightness_n = 1 + random.uniform(low=-config.brightness, high=config.brightness)
    return VideoChange(
        read_n22,
        torch.linalg.inv(read_n22),
        move_n2,
        mirrored_n,
        brightness_n,
        torch.tensor(layout.mirror),
    )
