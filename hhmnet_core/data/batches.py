"""Clips that live on the device, and batches cut from them without a loop over samples.

All bodies of all clips lie end to end in one tensor; a batch is one gather at fractional frame
positions, so clips of any length and number of bodies cost what they hold, not what the longest
holds.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hhmnet_core.data.store import ClipSet
from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.augment import rotation
from hhmnet_core.skeleton.layouts import Layout

MOST_FRAMES = 2048


@dataclass
class DataConfig:
    """What is trained on, and how clips become model input.

    Attributes:
        store: URI of the clip store (any fsspec URI).
        protocol: One of the store's protocols; empty: its first.
        selection: "val": whole subjects are carved from train and choose the epoch;
            "literature": train on everything, the last epoch counts.
        frames: T, the frames that a clip is resampled to.
        align: Turn each clip about the vertical so that the shoulders of its first body lie
            along x on average: removes the camera's view (3D layouts only).
        normalise_size: Divide each clip by the mean bone length of its first body.
    """

    store: str = ""
    protocol: str = ""
    selection: Literal["val", "literature"] = "val"
    frames: int = 48
    align: bool = False
    normalise_size: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.frames <= MOST_FRAMES:
            raise InputError(f"data.frames must be 2 to {MOST_FRAMES}, but is {self.frames}.")


@dataclass(frozen=True)
class Batch:
    """Model input.

    Attributes:
        joints_nctvm: (N, C, T, V, M); bodies that are absent are zero.
        body_rows: (R,) which of the N * M bodies are present, ordered by clip.
        labels_n: (N,) long.
    """

    joints_nctvm: Tensor
    body_rows: Tensor
    labels_n: Tensor


class ResidentClips:
    """A clip set on a device, centred and, as configured, aligned and scaled, once.

    Raises InputError where the clips do not fit their layout or the config.
    """

    def __init__(self, clips: ClipSet, config: DataConfig, device: torch.device) -> None:
        self.layout = self.layout_of(clips)
        self.layout.check(clips.frames.shape[1], clips.frames.shape[2], "The store")
        self.device = device
        self.frames = config.frames
        # Lengths and bodies stay on the host too: shapes must be known without asking the device.
        self._num_frames = torch.from_numpy(clips.num_frames.copy())
        self._num_bodies = torch.from_numpy(clips.num_bodies.copy())
        self._first_frame = torch.from_numpy(clips.first_frame.copy())
        self._labels = torch.from_numpy(clips.labels.copy()).to(device)
        frames_fvc = torch.from_numpy(clips.frames.copy())
        rows = self._num_frames * self._num_bodies
        clip_of_frame = torch.repeat_interleave(torch.arange(len(rows)), rows)
        self._frames_fvc = self._normalised(frames_fvc, clip_of_frame, config).to(device)

    @staticmethod
    def layout_of(clips: ClipSet) -> Layout:
        return clips.manifest.skeleton

    def _normalised(self, frames_fvc: Tensor, clip_of_frame: Tensor, config: DataConfig) -> Tensor:
        layout = self.layout
        centre_nc = frames_fvc[self._first_frame, layout.centre]
        frames_fvc = frames_fvc - centre_nc[clip_of_frame][:, None]
        # Only the first body decides how its clip is turned and scaled, so that bodies keep
        # their places relative to each other.
        offset = torch.arange(len(clip_of_frame)) - self._first_frame[clip_of_frame]
        first_body = offset < self._num_frames[clip_of_frame]
        body_fvc, clip_of_body = frames_fvc[first_body], clip_of_frame[first_body]

        def clip_mean(values_f: Tensor) -> Tensor:
            sums = torch.zeros(len(self._num_frames), *values_f.shape[1:])
            counts = self._num_frames.view(-1, *[1] * (values_f.dim() - 1))
            return sums.index_add_(0, clip_of_body, values_f) / counts

        if config.align:
            if layout.channels != 3:
                raise InputError(
                    f"data.align turns clips about the vertical, which layout {layout.name} "
                    f"with {layout.channels} channels does not have: set data.align to false."
                )
            across_f = (
                body_fvc[:, layout.joint("left_shoulder")]
                - body_fvc[:, layout.joint("right_shoulder")]
            )
            across_nc = clip_mean(across_f)
            yaw_n = torch.atan2(across_nc[:, 2], across_nc[:, 0]) - torch.pi
            turn_ncc = rotation(
                torch.stack([torch.zeros_like(yaw_n), yaw_n, torch.zeros_like(yaw_n)], 1)
            )
            frames_fvc = torch.einsum("fdc,fvc->fvd", turn_ncc[clip_of_frame], frames_fvc)
        if config.normalise_size:
            bones_fvc = body_fvc - body_fvc[:, list(layout.parents)]
            size_n = clip_mean(bones_fvc.norm(dim=2).sum(1)) / len(layout.bones)
            # A clip without any bone length (all joints in one point) stays as it is.
            size_n = torch.where(size_n > 0, size_n, torch.ones_like(size_n))
            frames_fvc = frames_fvc / size_n[clip_of_frame][:, None, None]
        return frames_fvc

    def num_frames(self, clips_n: Tensor) -> Tensor:
        """True lengths of these clips, (N,) on the device."""
        return self._num_frames[clips_n].to(self.device, non_blocking=True)

    def labels(self, clips_n: Tensor) -> Tensor:
        """Labels of these clips, (N,) on the device."""
        return self._labels[clips_n.to(self.device, non_blocking=True)]

    def batch(self, clips_n: Tensor, positions_nt: Tensor) -> Batch:
        """The clips of these indices (N,) on the host, read at frame positions (N, T).

        Values between frames are interpolated linearly.
        """
        bodies_n = self._num_bodies[clips_n]
        clip_of_body = torch.repeat_interleave(torch.arange(len(clips_n)), bodies_n)
        first_body = torch.cumsum(bodies_n, 0) - bodies_n
        body_of_row = torch.arange(len(clip_of_body)) - first_body[clip_of_body]
        length_r = self._num_frames[clips_n][clip_of_body]
        start_r = self._first_frame[clips_n][clip_of_body] + body_of_row * length_r
        most = int(bodies_n.max())
        body_rows = clip_of_body * most + body_of_row

        to = self.device
        positions_rt = positions_nt[clip_of_body.to(to)]
        last_r1 = (length_r - 1).to(to)[:, None]
        before_rt = positions_rt.floor().long().clamp(max=last_r1)
        after_rt = (before_rt + 1).clamp(max=last_r1)
        part_rt11 = (positions_rt - before_rt)[:, :, None, None]
        start_r1 = start_r.to(to)[:, None]
        x_rtvc = torch.lerp(
            self._frames_fvc[start_r1 + before_rt], self._frames_fvc[start_r1 + after_rt], part_rt11
        )
        body_rows = body_rows.to(to)
        if most == 1:
            x_nmtvc = x_rtvc[:, None]
        else:
            flat = x_rtvc.new_zeros(len(clips_n) * most, *x_rtvc.shape[1:])
            x_nmtvc = flat.index_copy(0, body_rows, x_rtvc).unflatten(0, (len(clips_n), most))
        return Batch(x_nmtvc.permute(0, 4, 2, 3, 1), body_rows, self.labels(clips_n))
