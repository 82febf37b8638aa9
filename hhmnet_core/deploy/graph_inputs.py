"""The preparation of clips as part of an exported graph.

It is what `BatchReader.view` does, written for padded batches of any size: masks in place of the
rows of present bodies, and sums over padded frames in place of sums over the frames of a clip set.

Shapes: N clips, M bodies, T frames, T' frames that the encoders read, V joints, C coordinates, W
views.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.motion import around, frames_by_motion, share_passed
from hhmnet_core.inputs.normalise import body_lines
from hhmnet_core.inputs.views import WHOLE, View
from hhmnet_core.skeleton.augment import frame_positions, frames_of_shares, rotation
from hhmnet_core.skeleton.layouts import Layout


@dataclass(frozen=True)
class PaddedClips:
    """A batch of raw clips, zero beyond their bodies and frames.

    Attributes:
        joints_nmtvc: (N, M, T, V, C) joints in the layout's unit, zero where a body is absent.
        num_frames_n: (N,) number of frames of each clip, at least 1.
        present_nm: (N, M) whether a clip has a body.
    """

    joints_nmtvc: Tensor
    num_frames_n: Tensor
    present_nm: Tensor

    @classmethod
    def of(cls, joints_nmtvc: Tensor, num_frames_n: Tensor, num_bodies_n: Tensor) -> "PaddedClips":
        """Return a batch whose padding, whatever it holds, is zero."""
        bodies, frames = joints_nmtvc.shape[1:3]
        device = joints_nmtvc.device
        present_nm = torch.arange(bodies, device=device) < num_bodies_n[:, None]
        inside_nt = torch.arange(frames, device=device) < num_frames_n[:, None]
        shown_nmt = present_nm[:, :, None] & inside_nt[:, None]
        # Not a product: padding may hold NaN.
        joints = torch.where(shown_nmt[..., None, None], joints_nmtvc, 0)
        return cls(joints, num_frames_n, present_nm)


class ClipPreparation(nn.Module):
    """Raw clips to the joints that an encoder reads, as `BatchReader.view` returns them.

    Args:
        config: Conversion of clips to model inputs.
        layout: Layout of the skeletons.
        views: Views of each clip that are scored.
    """

    shares_wt: Tensor
    turn_wcc: Tensor
    parents_v: Tensor

    def __init__(
        self, config: DataConfig, layout: Layout, views: Sequence[View] = (WHOLE,)
    ) -> None:
        super().__init__()
        self.config, self.layout, self.views = config, layout, views
        # Buffers, so that no runtime computes them in its own way.
        shares_wt = torch.stack([view.shares(config.frames) for view in views])
        self.register_buffer("shares_wt", shares_wt, persistent=False)
        turn_wcc = torch.cat([view.turn() for view in views])
        self.register_buffer("turn_wcc", turn_wcc, persistent=False)
        self.register_buffer("parents_v", torch.tensor(layout.parents), persistent=False)

    def forward(self, clips: PaddedClips) -> Tensor:
        """Return joints (W * N, C, T', V, M), view by view.

        Those of absent bodies are finite and mean nothing.
        """
        normalised_nmtvc = self._normalise(clips.joints_nmtvc)
        passed_nt = None
        if any(view.shared_motion(self.config.motion_share) for view in self.views):
            passed_nt = share_passed(_movement(clips), clips.num_frames_n)
        numbers = range(len(self.views))
        return torch.cat([self._view(each, normalised_nmtvc, clips, passed_nt) for each in numbers])

    def _view(
        self,
        number: int,
        normalised_nmtvc: Tensor,
        clips: PaddedClips,
        passed_nt: Tensor | None,
    ) -> Tensor:
        """Return the joints (N, C, T', V, M) of a view."""
        if self.views[number].yaw:
            normalised_nmtvc = (normalised_nmtvc.unsqueeze(-2) * self.turn_wcc[number]).sum(-1)
        joints_nmtvc = self._resample(number, normalised_nmtvc, clips, passed_nt)
        if self.config.normalise_axes:
            shown_nmt = clips.present_nm[:, :, None]
            if self.config.axes_extent == "clip":
                frames_t = torch.arange(normalised_nmtvc.shape[2], device=shown_nmt.device)
                inside_nt = frames_t < clips.num_frames_n[:, None]
                extent = _axis_extent(normalised_nmtvc, shown_nmt & inside_nt[:, None])
            else:
                extent = _axis_extent(joints_nmtvc, shown_nmt)
            joints_nmtvc = _scale_axes(joints_nmtvc, clips.present_nm, extent)
        return joints_nmtvc.permute(0, 4, 2, 3, 1)

    def _normalise(self, joints_nmtvc: Tensor) -> Tensor:
        """Return clips moved to their centre and, as configured, rotated and scaled."""
        body_ntvc = joints_nmtvc[:, 0]
        seen_nt = (body_ntvc != 0).flatten(2).any(2)  # frames without the body are zeros
        joints_nmtvc = joints_nmtvc - self._centre(body_ntvc, seen_nt)[:, None, None, None]
        if self.config.align:
            turn_ncc = self._turn(body_ntvc, seen_nt)
            joints_nmtvc = (joints_nmtvc.unsqueeze(-2) * turn_ncc[:, None, None, None]).sum(-1)
        if self.config.normalise_size:
            joints_nmtvc = joints_nmtvc / self._size(body_ntvc, seen_nt)[:, None, None, None, None]
        return joints_nmtvc

    def _centre(self, body_ntvc: Tensor, seen_nt: Tensor) -> Tensor:
        """Return the centre joint (N, C) in the first frame that shows the body, else the first."""
        frames = body_ntvc.shape[1]
        number_t = torch.arange(frames, device=body_ntvc.device)
        first_n = torch.where(seen_nt, number_t, frames).amin(1)
        first_n = torch.where(first_n < frames, first_n, 0)
        return _frames_at(body_ntvc[:, :, self.layout.centre], first_n[:, None])[:, 0]

    def _turn(self, body_ntvc: Tensor, seen_nt: Tensor) -> Tensor:
        """Return the rotations (N, C, C) that align clips, as `measure_normalisation` does."""
        left, right = body_lines(self.layout, self.config.align_by)
        across_ntkc = body_ntvc[:, :, left] - body_ntvc[:, :, right]
        x_ntk, z_ntk = across_ntkc[..., 0], across_ntkc[..., 2]
        x_nk, z_nk = _mean_of_seen(x_ntk, seen_nt), _mean_of_seen(z_ntk, seen_nt)
        if self.config.align_by == "torso":
            length_nk = _mean_of_seen(_length(x_ntk, z_ntk), seen_nt)
            length_nk = torch.where(length_nk > 0, length_nk, 1)
            apart_ntk = _length(x_ntk - x_nk[:, None], z_ntk - z_nk[:, None])
            x_nk = (x_nk - _mean_of_seen(apart_ntk, seen_nt)) / length_nk
            z_nk = z_nk / length_nk
        yaw_n = torch.atan2(z_nk.sum(1), x_nk.sum(1)) - torch.pi
        zero_n = torch.zeros_like(yaw_n)
        return rotation(torch.stack([zero_n, yaw_n, zero_n], 1))

    def _size(self, body_ntvc: Tensor, seen_nt: Tensor) -> Tensor:
        """Return the mean bone lengths (N,), 1 for a clip without any."""
        bones_ntvc = body_ntvc - body_ntvc.index_select(2, self.parents_v)
        lengths_nt1 = bones_ntvc.square().sum(3).sqrt().sum(2, keepdim=True)
        size_n = _mean_of_seen(lengths_nt1, seen_nt)[:, 0] / len(self.layout.bones)
        return torch.where(size_n > 0, size_n, 1)

    def _resample(
        self, number: int, joints_nmtvc: Tensor, clips: PaddedClips, passed_nt: Tensor | None
    ) -> Tensor:
        """Return a view's T' positions of clips: (N, M, T, V, C) -> (N, M, T', V, C)."""
        joints_ntmvc, num_frames_n = joints_nmtvc.transpose(1, 2), clips.num_frames_n
        last_n1, shares_t = (num_frames_n - 1)[:, None], self.shares_wt[number]
        if self.views[number].draw:
            positions_nt = frames_of_shares(shares_t, num_frames_n)
        elif self.config.whole_frames:
            positions_nt = frame_positions(num_frames_n, self.config.frames, whole=True)
        else:
            positions_nt = last_n1.to(torch.float32) * shares_t
        if self.config.whole_frames:
            return _frames_at(joints_ntmvc, positions_nt.long()).transpose(1, 2)
        share = self.views[number].shared_motion(self.config.motion_share)
        if share and passed_nt is not None:
            positions_nt = frames_by_motion(passed_nt, num_frames_n, positions_nt, share)
        before_nt = positions_nt.floor().long()
        after_nt = torch.minimum(before_nt + 1, last_n1)
        fraction = (positions_nt - before_nt)[:, :, None, None, None]
        before, after = (_frames_at(joints_ntmvc, at_nt) for at_nt in (before_nt, after_nt))
        return torch.lerp(before, after, fraction).transpose(1, 2)


def _movement(clips: PaddedClips) -> Tensor:
    """Return the movement of clips from each frame to the next (N, T), as `Motion` measures it."""
    joints_ntmvc, last_n1 = clips.joints_nmtvc.transpose(1, 2), (clips.num_frames_n - 1)[:, None]
    frame_t = torch.arange(joints_ntmvc.shape[1], device=joints_ntmvc.device)
    frames_nt = frame_t.expand(joints_ntmvc.shape[0], -1)
    before, after = (_frames_at(joints_ntmvc, each_nt) for each_nt in around(frames_nt, last_n1))
    seen_ntm = (before != 0).flatten(3).any(3) & (after != 0).flatten(3).any(3)
    moved_ntm = (after - before).square().sum(4).sqrt().sum(3)
    moves_ntm = seen_ntm & (frame_t < last_n1)[:, :, None]
    return torch.where(moves_ntm, moved_ntm, 0).sum(2)


def _frames_at(values_nt: Tensor, frames_nt: Tensor) -> Tensor:
    """Return values (N, T', ...) at frames (N, T'), from those of all frames (N, T, ...)."""
    tail = values_nt.shape[2:]
    index = frames_nt.view(*frames_nt.shape, *[1] * len(tail)).expand(-1, -1, *tail)
    return values_nt.gather(1, index)


def _mean_of_seen(values_ntc: Tensor, seen_nt: Tensor) -> Tensor:
    """Return the mean (N, C) over the frames that show the body, zero where none does."""
    seen_nt1 = seen_nt[:, :, None].to(values_ntc.dtype)
    return (values_ntc * seen_nt1).sum(1) / seen_nt1.sum(1).clamp_min(1)


def _length(x: Tensor, z: Tensor) -> Tensor:
    """Return `torch.hypot`, which exporters do not know."""
    return (x.square() + z.square()).sqrt()


def _axis_extent(joints_nmtvc: Tensor, shown_nmt: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smallest and largest coordinates (N, 1, 1, 1, C), as `axis_extent` does."""
    shown = shown_nmt[..., None, None]
    low = torch.where(shown, joints_nmtvc, torch.inf).amin((1, 2, 3), keepdim=True)
    high = torch.where(shown, joints_nmtvc, -torch.inf).amax((1, 2, 3), keepdim=True)
    return low, high


def _scale_axes(joints_nmtvc: Tensor, present_nm: Tensor, extent: tuple[Tensor, Tensor]) -> Tensor:
    """Scale each axis of each clip so that its extent becomes [-1, 1], as `scale_axes` does."""
    low, high = extent
    half = (high - low) / 2
    scaled = (joints_nmtvc - (high + low) / 2) / torch.where(half > 0, half, 1)
    return torch.where(present_nm[:, :, None, None, None], scaled, 0)
