"""Augmentation of a batch of videos, on the device, pixels and joints together.

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
        mirrored_n: (N,) bool, which clips were mirrored.
    """

    images_nfchw: Tensor
    joints_nmfv2: Tensor
    mirrored_n: Tensor


def augment_video(
    images_nfchw: Tensor,
    joints_nmfv2: Tensor,
    config: VideoAugmentConfig,
    layout: Layout,
    random: BatchRandom,
) -> AugmentedVideo:
    """Zoom, shift, rotate, brighten and mirror each clip, all its images in the same way.

    Args:
        images_nfchw: (N, F, 3, H, W) uint8.
        joints_nmfv2: (N, M, F, V, 2) joints in shares of the image. NaN stays.
        config: Strength of each change.
        layout: Layout of the joints, with those that a mirror swaps.
        random: Source of the random draws.
    """
    images = images_nfchw.float() / 255
    clips, frames = images.shape[:2]
    zoom_n = 1 + random.uniform(low=-config.zoom, high=config.zoom)
    turn_n = math.radians(config.turn) * random.uniform(low=-1.0, high=1.0)
    move_n2 = 2 * config.move * random.uniform(2, low=-1.0, high=1.0)
    mirrored_n = random.uniform() < config.mirror
    sign_n = 1 - 2 * mirrored_n.float()
    # Maps positions in the new image, in [-1, 1], to the old one.
    cos, sin = turn_n.cos() / zoom_n, turn_n.sin() / zoom_n
    read_n22 = torch.stack([cos * sign_n, -sin, sin * sign_n, cos], 1).view(-1, 2, 2)
    theta_n23 = torch.cat([read_n22, move_n2[..., None]], 2)
    field = F.affine_grid(
        theta_n23.repeat_interleave(frames, 0),
        [clips * frames, *images.shape[2:]],
        align_corners=False,
    )
    images = F.grid_sample(images.flatten(0, 1), field, align_corners=False)
    images = images.unflatten(0, (clips, frames))
    brightness_n = 1 + random.uniform(low=-config.brightness, high=config.brightness)
    images = (images * brightness_n.view(-1, 1, 1, 1, 1)).clamp(0, 1)
    placed = 2 * joints_nmfv2 - 1 - move_n2[:, None, None, None]
    placed = torch.einsum("nij,nmfvj->nmfvi", torch.linalg.inv(read_n22), placed)
    joints = (placed + 1) / 2
    swapped = joints[:, :, :, list(layout.mirror)]
    joints = torch.where(mirrored_n.view(-1, 1, 1, 1, 1), swapped, joints)
    return AugmentedVideo(images, joints, mirrored_n)
