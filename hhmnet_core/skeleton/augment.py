"""Augmentation of a batch of skeletons: drawn on the host, made on the device of the clips.

Temporal: rests before and after the clip, a random crop of them all, resampled to T frames at
fractional positions, or T frames drawn from the whole clip; a random share of motion in their
spacing. Spatial: one random linear map per clip (rotation, per-axis scale, shear), an optional
reflection, and a constant offset per joint. The offset imitates sensor bias; noise that changes
from frame to frame would drown the motion modalities.

Axes: N clips, C coordinates, T frames, V joints, M bodies.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.identity import later
from hhmnet_core.randomness import BatchRandom
from hhmnet_core.skeleton.layouts import Layout

MAX_VIEWS = 64
MAX_REST = 10.0
MAX_STRENGTH = 10_000.0


@dataclass
class AugmentConfig:
    """Strength of the training augmentation. Zeros, with `crop` 1, switch it off.

    Attributes:
        crop: Smallest share of a clip that a temporal crop keeps, in (0, 1].
        random_frames: Sampling of frames from the whole clip, with repetition and in order, as in
            CTR-GCN on NW-UCLA, instead of evenly spaced frames of a crop. `crop` is then ignored.
        yaw: Largest rotation about the vertical axis, in degrees.
        tilt: Largest rotation about each horizontal axis, in degrees.
        roll: Largest rotation about z (for 2D skeletons: in the image), in degrees. Default: the
            value of `tilt`.
        scale: Largest relative change of size, per axis.
        shear: Largest shear coefficient, per pair of axes.
        joint_noise: Standard deviation of the offset added to a joint, in the data's unit.
        mirror: Probability of reflecting left and right. Keep 0 where classes differ by side.
        yaw_first: Rotation about the vertical before those about x and z, as in CTR-GCN: the turned
            person is tilted. Default: about x first, then about the vertical, then about z.
        motion_share: Largest change of data.motion_share, which stays within 0 and 1.
        views: Number of versions of each clip that are scored, whose logits are averaged: the clip
            itself, and others that differ by crop, yaw and motion_share, up to half of their
            strengths here; with random_frames by other frames in place of crops. Scoring takes so
            many times as long. 1: the clip itself.
        rest: Longest rest that is added before and after a clip, as a share of its length; the crop
            is then of all three. In a rest the first or the last pose is held.
        bone_noise: Standard deviation of the offset added to a joint and to all that hang on it, as
            a share of the mean bone length of the clip's first body, so it means the same in metres
            and in pixels. Offsets add up from the layout's centre to hands and feet.

    Raises:
        InputError: A value outside its range.
    """

    crop: float = 0.5
    random_frames: bool = False
    yaw: float = 30.0
    tilt: float = 10.0
    roll: float | None = None
    scale: float = 0.1
    shear: float = 0.05
    joint_noise: float = 0.0
    mirror: float = 0.0
    yaw_first: bool = later(False)
    motion_share: float = later(0.5, before=0.0)
    views: int = later(1)
    rest: float = later(0.0)
    bone_noise: float = later(0.1, before=0.0)

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise InputError(f"augment.crop must be in (0, 1], but is {self.crop}.")
        for name in ("mirror", "motion_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augment.{name} must be in [0, 1], but is {getattr(self, name)}.")
        if not 1 <= self.views <= MAX_VIEWS:
            raise InputError(f"augment.views must be 1 to {MAX_VIEWS}, but is {self.views}.")
        if not 0 <= self.rest <= MAX_REST:
            raise InputError(f"augment.rest must be in [0, {MAX_REST:g}], but is {self.rest}.")
        for name in ("yaw", "tilt", "roll", "scale", "shear", "joint_noise", "bone_noise"):
            if not 0 <= (getattr(self, name) or 0) <= MAX_STRENGTH:  # refuses nan too
                raise InputError(
                    f"augment.{name} must be in [0, {MAX_STRENGTH:g}], but is "
                    f"{getattr(self, name)}."
                )
        if self.rest and self.random_frames:
            raise InputError(
                f"augment.rest {self.rest} is for crops, but augment.random_frames is true, which "
                "draws from the whole clip: set one of them off."
            )


def frame_positions(num_frames_n: Tensor, frames: int, whole: bool = False) -> Tensor:
    """Return T evenly spaced frame positions per clip, from its first to its last frame.

    Args:
        num_frames_n: (N,) number of frames of each clip, long.
        frames: The number T of positions, 2 or more.
        whole: Round positions down to whole frames.

    Returns:
        (N, T) float32; zeros for a clip of one frame.
    """
    if whole:  # by whole numbers: rounding must not lose a frame where a position is a whole one
        steps_t = torch.arange(frames, device=num_frames_n.device)
        positions_nt = (num_frames_n - 1)[:, None] * steps_t // (frames - 1)
        return positions_nt.to(torch.float32)
    last_n1 = (num_frames_n - 1).to(torch.float32)[:, None]
    return last_n1 * torch.linspace(0.0, 1.0, frames, device=num_frames_n.device)


def frames_of_shares(shares_t: Tensor, num_frames_n: Tensor) -> Tensor:
    """Return the whole frames at shares of clips, (N, T) float32.

    Args:
        shares_t: (T,) or, for each clip, (N, T): shares of a clip in [0, 1].
        num_frames_n: (N,) number of frames of each clip, long.
    """
    length_n1 = num_frames_n[:, None].to(torch.float32)
    return (shares_t * length_n1).floor().minimum(length_n1 - 1)


def random_positions(
    num_frames_n: Tensor, frames: int, config: AugmentConfig, random: BatchRandom
) -> Tensor:
    """Draw T frame positions per clip for training, in rising order.

    They are evenly spaced over a random crop that keeps a share U[crop, 1] of the clip and of the
    rests before and after it, each of length U[0, rest] clips; or, with `config.random_frames`,
    whole frames drawn from all of the clip.

    Args:
        num_frames_n: (N,) number of frames of each clip.
        frames: The number T of positions.
        config: The strength of the augmentation.
        random: The random numbers of these N clips.

    Returns:
        (N, T) float32.
    """
    if config.random_frames:
        return frames_of_shares(random.uniform(frames).sort(1).values, num_frames_n)
    share_n1 = random.uniform(1, low=config.crop, high=1.0)
    start_n1 = random.uniform(1) * (1 - share_n1)
    last_n1 = (num_frames_n - 1).to(torch.float32)[:, None]
    even_t = torch.linspace(0.0, 1.0, frames, device=num_frames_n.device)
    passed_nt = start_n1 + share_n1 * even_t
    if config.rest:
        before_n1, after_n1 = random.uniform(2, high=config.rest).split(1, 1)
        passed_nt = ((before_n1 + 1 + after_n1) * passed_nt - before_n1).clamp(0, 1)
    return last_n1 * passed_nt


def random_motion_shares(share: float, config: AugmentConfig, random: BatchRandom) -> Tensor:
    """Draw the share of motion in the choice of each clip's frames for training, (N,).

    Args:
        share: The share in scoring, `data.motion_share`.
        config: The strength of the augmentation.
        random: The random numbers of these N clips.
    """
    change = config.motion_share
    return random.uniform(low=share - change, high=share + change).clamp(0, 1)


@dataclass(frozen=True)
class Change:
    """What augmentation does to each clip of a batch, the same for each frame.

    Attributes:
        map_ncc: (N, C, C) linear maps of the coordinates.
        mirrored_n: (N,) bool, clips that are then reflected. None: none.
        other_side_v: (V,) the joint on the other side of each.
        offset_ncv: (N, C, V) what is then added to the joints. None: nothing.
    """

    map_ncc: Tensor
    mirrored_n: Tensor | None
    other_side_v: Tensor
    offset_ncv: Tensor | None

    def padded(self, clips: int) -> "Change":
        """Return the changes of N clips, those beyond the present ones equal to the first's."""
        chosen_n = torch.arange(clips)
        chosen_n[len(self.map_ncc) :] = 0
        return Change(
            self.map_ncc[chosen_n],
            None if self.mirrored_n is None else self.mirrored_n[chosen_n],
            self.other_side_v,
            None if self.offset_ncv is None else self.offset_ncv[chosen_n],
        )

    def apply(self, joints_nctvm: Tensor) -> Tensor:
        """Return changed joints: (N, C, T, V, M) -> (N, C, T, V, M), on the device of the change.

        Frames from which a body is absent are changed like all others; a body that is absent from
        the whole clip never enters a computation.
        """
        x_nctvm = torch.einsum("ndc,nctvm->ndtvm", self.map_ncc, joints_nctvm)
        if self.mirrored_n is not None:
            reflected = mirror(x_nctvm, self.other_side_v)
            x_nctvm = torch.where(self.mirrored_n[:, None, None, None, None], reflected, x_nctvm)
        if self.offset_ncv is not None:
            x_nctvm = x_nctvm + self.offset_ncv[:, :, None, :, None]
        return x_nctvm


def draw_change(
    config: AugmentConfig, layout: Layout, random: BatchRandom, bone_n: Tensor
) -> Change:
    """Draw a rotation, scale, shear, reflection and offset of joints for each clip of a batch.

    Args:
        config: The strength of the augmentation.
        layout: The joints' layout.
        random: The random numbers of these N clips.
        bone_n: (N,) mean bone length of each clip's first body, in the unit of its joints.
    """
    channels = layout.channels
    map_ncc = _random_rotation(config, channels, random) @ _random_stretch(config, channels, random)
    mirrored_n = random.uniform() < config.mirror if config.mirror else None
    offset_ncv = _random_offset(config, layout, random, bone_n)
    return Change(map_ncc, mirrored_n, torch.tensor(layout.mirror), offset_ncv)


def mirror(joints_nctvm: Tensor, other_side_v: Tensor) -> Tensor:
    """Reflect skeletons: exchange left and right joints and negate x; (N, C, T, V, M) kept.

    Args:
        joints_nctvm: (N, C, T, V, M) joints.
        other_side_v: (V,) the joint on the other side of each.
    """
    swapped = joints_nctvm.index_select(3, other_side_v)
    swapped[:, 0].neg_()
    return swapped


def _random_rotation(config: AugmentConfig, channels: int, random: BatchRandom) -> Tensor:
    yaw, tilt = math.radians(config.yaw), math.radians(config.tilt)
    roll = tilt if config.roll is None else math.radians(config.roll)
    if channels == 2:
        return rotation(random.uniform(1, low=-roll, high=roll))
    limits = torch.tensor([tilt, yaw, roll])
    angles_n3 = random.uniform(3, low=-1.0, high=1.0) * limits
    if not config.yaw_first:
        return rotation(angles_n3)
    about_y_3 = torch.tensor([0.0, 1.0, 0.0])
    return rotation(angles_n3 * (1 - about_y_3)) @ rotation(angles_n3 * about_y_3)


def _random_stretch(config: AugmentConfig, channels: int, random: BatchRandom) -> Tensor:
    """Return (N, C, C) matrices with the scale on the diagonal and the shear off it."""
    size_nc = 1 + random.uniform(channels, low=-config.scale, high=config.scale)
    shear_ncc = random.uniform(channels, channels, low=-config.shear, high=config.shear)
    off_diagonal = 1 - torch.eye(channels)
    return torch.diag_embed(size_nc) + shear_ncc * off_diagonal


def _random_offset(
    config: AugmentConfig, layout: Layout, random: BatchRandom, bone_n: Tensor
) -> Tensor | None:
    """Return offsets of joints (N, C, V). None: no noise."""
    offset_ncv = None
    if config.joint_noise:
        offset_ncv = random.normal(layout.channels, layout.num_joints) * config.joint_noise
    if config.bone_noise:
        deviation_n11 = (config.bone_noise * bone_n)[:, None, None]
        noise_ncw = random.normal(layout.channels, layout.num_joints) * deviation_n11
        depth_w = layout.hops[layout.centre]
        hangs_vw = depth_w + layout.hops == depth_w[:, None]  # the way to v leads through w
        summed_ncv = noise_ncw @ hangs_vw.to(noise_ncw.dtype).T
        offset_ncv = summed_ncv if offset_ncv is None else offset_ncv + summed_ncv
    return offset_ncv


def rotation(angles_na: Tensor) -> Tensor:
    """Return rotation matrices: angles (N, 1) -> (N, 2, 2), angles (N, 3) -> (N, 3, 3).

    Angles are in radians. Three of them rotate about x, then y, then z: R = Rz Ry Rx, right-handed.
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
