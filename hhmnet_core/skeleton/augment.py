"""Augmentation of a batch of skeletons, on the device that the clips live on.

Temporal: a random crop, resampled to T frames at fractional positions, or T frames drawn from the
whole clip. Spatial: one random linear map a clip (rotation, per-axis scale, shear), an optional
mirror, and a constant offset a joint (sensor bias; noise that changes from frame to frame would
drown the motion modalities).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.randomness import BatchRandom
from hhmnet_core.skeleton.layouts import Layout


@dataclass
class AugmentConfig:
    """Strength of the training augmentation; zeros (and crop 1) switch it off.

    Attributes:
        crop: Smallest share of a clip that a temporal crop keeps, in (0, 1].
        random_frames: In the place of evenly spaced frames of a crop, frames of the whole clip
            drawn with repetition and put in order, as CTR-GCN's reader of NW-UCLA does; crop then
            counts for nothing.
        yaw: Largest turn about the vertical axis, degrees.
        tilt: Largest turn about each horizontal axis, degrees.
        roll: Largest turn about z, of 2D skeletons in the image, degrees; null: as tilt.
        scale: Largest relative change of size, per axis.
        shear: Largest shear coefficient, per pair of axes.
        joint_noise: Standard deviation of the offset of a joint, in units of the data.
        mirror: Probability of mirroring left and right; wrong where classes differ by side.
    """

    crop: float = 0.5
    random_frames: bool = False
    yaw: float = 30.0
    tilt: float = 10.0
    roll: float | None = None
    scale: float = 0.1
    shear: float = 0.05
    joint_noise: float = 0.01
    mirror: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise InputError(f"augment.crop must be in (0, 1], but is {self.crop}.")
        if not 0 <= self.mirror <= 1:
            raise InputError(f"augment.mirror must be in [0, 1], but is {self.mirror}.")
        for name in ("yaw", "tilt", "roll", "scale", "shear", "joint_noise"):
            if (getattr(self, name) or 0) < 0:
                raise InputError(
                    f"augment.{name} must be at least 0, but is {getattr(self, name)}."
                )


def frame_positions(num_frames_n: Tensor, frames: int) -> Tensor:
    """Where to read T frames in clips of their own lengths: (N,) -> (N, T) float positions.

    Evenly spaced from the first to the last frame; a clip of one frame is read at 0 throughout.
    """
    last_n1 = (num_frames_n - 1).to(torch.float32)[:, None]
    return last_n1 * torch.linspace(0.0, 1.0, frames, device=num_frames_n.device)


def random_positions(
    num_frames_n: Tensor, frames: int, config: AugmentConfig, random: BatchRandom
) -> Tensor:
    """Where to read T frames in training: (N,) -> (N, T) float positions, in order.

    Evenly spaced in a random crop that keeps a share of U[crop, 1], or frames drawn from the clip.
    """
    if config.random_frames:
        drawn_nt = (random.uniform(frames) * num_frames_n[:, None]).floor().sort(1).values
        return drawn_nt.minimum(num_frames_n[:, None] - 1)
    share_n1 = random.uniform(1, low=config.crop, high=1.0)
    start_n1 = random.uniform(1) * (1 - share_n1)
    last_n1 = (num_frames_n - 1).to(torch.float32)[:, None]
    even_t = torch.linspace(0.0, 1.0, frames, device=num_frames_n.device)
    return last_n1 * (start_n1 + share_n1 * even_t)


def augment(
    joints_nctvm: Tensor, config: AugmentConfig, layout: Layout, random: BatchRandom
) -> Tensor:
    """A randomly turned, scaled, sheared, mirrored and shaken copy: same shape (N, C, T, V, M).

    Frames from which a body is absent are turned and shaken like all others; a body that is absent
    from the whole clip is never computed.
    """
    channels = joints_nctvm.shape[1]
    map_ncc = _random_rotation(config, channels, random) @ _random_stretch(config, channels, random)
    x_nctvm = torch.einsum("ndc,nctvm->ndtvm", map_ncc, joints_nctvm)
    if config.mirror:
        mirrored_n = random.uniform() < config.mirror
        turned = mirror(x_nctvm, layout)
        x_nctvm = torch.where(mirrored_n[:, None, None, None, None], turned, x_nctvm)
    if config.joint_noise:
        offset = random.normal(channels, 1, joints_nctvm.shape[3], 1) * config.joint_noise
        x_nctvm = x_nctvm + offset
    return x_nctvm


def mirror(joints_nctvm: Tensor, layout: Layout) -> Tensor:
    """As in a mirror: left and right joints change places, x its sign; same shape."""
    swapped = joints_nctvm[:, :, :, list(layout.mirror)].clone()
    swapped[:, 0].neg_()
    return swapped


def _random_rotation(config: AugmentConfig, channels: int, random: BatchRandom) -> Tensor:
    yaw, tilt = math.radians(config.yaw), math.radians(config.tilt)
    roll = tilt if config.roll is None else math.radians(config.roll)
    if channels == 2:
        return rotation(random.uniform(1, low=-roll, high=roll))
    limits = torch.tensor([tilt, yaw, roll], device=random.device)
    return rotation(random.uniform(3, low=-1.0, high=1.0) * limits)


def _random_stretch(config: AugmentConfig, channels: int, random: BatchRandom) -> Tensor:
    """(N, C, C): scale on the diagonal, shear off it."""
    size_nc = 1 + random.uniform(channels, low=-config.scale, high=config.scale)
    shear_ncc = random.uniform(channels, channels, low=-config.shear, high=config.shear)
    off_diagonal = 1 - torch.eye(channels, device=random.device)
    return torch.diag_embed(size_nc) + shear_ncc * off_diagonal


def rotation(angles_na: Tensor) -> Tensor:
    """Rotation matrices from angles in radians: (N, 1) -> (N, 2, 2) or (N, 3) -> (N, 3, 3).

    Three angles turn about x, then y, then z: R = Rz Ry Rx, right-handed.
    """
    cos, sin = angles_na.cos().unbind(1), angles_na.sin().unbind(1)
    if angles_na.shape[1] == 1:
        return torch.stack([cos[0], -sin[0], sin[0], cos[0]], 1).view(-1, 2, 2)
    (cx, cy, cz), (sx, sy, sz) = cos, sin
    rows = [
        cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx,
        sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx,
        -sy, cy * sx, cy * cx,
    ]  # fmt: skip
    return torch.stack(rows, 1).view(-1, 3, 3)
