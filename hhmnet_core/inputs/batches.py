"""Batches of skeletons, cut without a loop over samples, on the device that trains.

All bodies of all clips lie end to end in one tensor; a batch is one gather at fractional frame
positions, so the cost of a clip follows from its own length and number of bodies, not from the
longest clip's. Which rows are gathered is worked out on the host (`BatchReader.plan`), as are all
shapes, so that neither waits for the device; the rest happens there (`BatchReader.read`).

Shapes: N clips, R bodies that are present in the clips, T frames, V joints, M bodies, C channels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.memory import fits_in_memory
from hhmnet_core.inputs.motion import Motion
from hhmnet_core.inputs.normalise import (
    axis_extent,
    measure_normalisation,
    measure_sizes,
    scale_axes,
    watched_chunks,
)
from hhmnet_core.inputs.transfer import to_device
from hhmnet_core.inputs.views import WHOLE, View
from hhmnet_core.store.clips import ClipSet


@dataclass(frozen=True)
class BatchPlan:
    """Where the frames of a batch lie. Its tensors are on the host or on the device.

    Attributes:
        frames_2rt: (2, R, T) row of the frame before and after each position, in the clips of the
            device; or the frames themselves, (2, R, T, V, C), where the clips are not there.
        fraction_rt: (R, T) way from the frame before to the one after, in [0, 1).
        body_rows: (R,) indices of the present bodies among the N * M, ordered by clip.
        clip_r: (R,) the clip of each body in the clip set.
        labels_n: (N,) classes, long.
        most_bodies: M, the largest number of bodies of a clip of the batch.
        whole: All frames of the clips, T at a time, where axes are scaled by them.
    """

    frames_2rt: Tensor
    fraction_rt: Tensor
    body_rows: Tensor
    clip_r: Tensor
    labels_n: Tensor
    most_bodies: int
    whole: tuple["BatchPlan", ...] = ()

    def padded(self, clips: int, rows: int, most_bodies: int) -> "BatchPlan":
        """Return the plan with copies of its first body as further clips, so that shapes repeat.

        Args:
            clips: N afterwards, more than now where `rows` exceeds R.
            rows: R afterwards: each further clip has one body, the last one also the other rows.
            most_bodies: M afterwards.
        """
        known, missing = len(self.labels_n), rows - len(self.body_rows)
        clip_of_row, body_of_row = (
            self.body_rows // self.most_bodies,
            self.body_rows % self.most_bodies,
        )
        further = torch.arange(known, known + missing).clamp(max=clips - 1)
        return BatchPlan(
            _repeated(self.frames_2rt, missing, 1),
            _repeated(self.fraction_rt, missing),
            torch.cat([clip_of_row * most_bodies + body_of_row, further * most_bodies]),
            _repeated(self.clip_r, missing),
            _repeated(self.labels_n, clips - known),
            most_bodies,
            tuple(part.padded(clips, rows, most_bodies) for part in self.whole),
        )


def _repeated(tensor: Tensor, times: int, dim: int = 0) -> Tensor:
    """Return a tensor with its first row along a dimension added some times at the end."""
    first = tensor.narrow(dim, 0, 1)
    return torch.cat([tensor, first.repeat_interleave(times, dim)], dim)


@dataclass(frozen=True)
class Batch:
    """A batch of skeletons.

    Attributes:
        joints_nctvm: (N, C, T, V, M) joints. Absent bodies are zero.
        body_rows: (R,) indices of the present bodies among the N * M, ordered by clip.
        labels_n: (N,) classes, long.
    """

    joints_nctvm: Tensor
    body_rows: Tensor
    labels_n: Tensor


class BatchReader:
    """Cuts batches from a clip set, centred and, as configured, aligned and scaled.

    On a GPU the clips stay on the device if they fit. Else each batch is read from their file, of
    which all processes of a node share one copy in memory. Both give the same batches.

    Args:
        clips: The clips.
        config: Conversion of clips to model inputs.
        device: Device of the batches.
        resident: Keep the clips on the device. None: on a GPU, if they fit (`fits_in_memory`).
        sharers: Number of processes that share the device's memory.

    Raises InputError where the clips do not fit their layout or the config.
    """

    def __init__(
        self,
        clips: ClipSet,
        config: DataConfig,
        device: torch.device,
        resident: bool | None = None,
        sharers: int = 1,
    ) -> None:
        self.layout = clips.manifest.skeleton
        self.layout.check(clips.frames.shape[1], clips.frames.shape[2], "The store")
        self.device = device
        self.frames, self._whole_frames = config.frames, config.whole_frames
        self._clips, self._motion_share = clips, config.motion_share
        self._scales_axes, self._extent_of = config.normalise_axes, config.axes_extent
        self._num_frames = torch.from_numpy(clips.num_frames.copy())
        self._num_bodies = torch.from_numpy(clips.num_bodies.copy())
        self._first_frame = torch.from_numpy(clips.first_frame.copy())
        self._labels = torch.from_numpy(clips.labels.copy())
        self._normalisation = measure_normalisation(
            clips, self.layout, config.align, config.normalise_size, config.align_by
        )
        if resident is None:
            on_host = device.type == "cpu"
            resident = not on_host and fits_in_memory(clips.frames.nbytes, device, sharers)
        self._frames_fvc = None
        if resident:
            self._frames_fvc = torch.empty(clips.frames.shape, device=device)
            start = 0
            for _, frames_fvc, clip_f in watched_chunks(clips, "copying clips to the device"):
                stop = start + len(frames_fvc)
                self._frames_fvc[start:stop] = self._normalisation.apply(frames_fvc, clip_f)
                start = stop
        self._normalisation = self._normalisation.to(device)

    @property
    def resident(self) -> bool:
        """Whether the clips stay on the device."""
        return self._frames_fvc is not None

    @property
    def most_bodies(self) -> int:
        """The largest number of bodies of a clip."""
        return int(self._num_bodies.max())

    @cached_property
    def motion(self) -> Motion:
        """The movement of the clips, measured when it is first asked for."""
        return Motion(self._clips)

    def num_frames(self, clips_n: Tensor) -> Tensor:
        """Return the lengths of clips in frames, (N,) on the host."""
        return self._num_frames[clips_n]

    def labels(self, clips_n: Tensor) -> Tensor:
        """Return the classes of clips, (N,) on the host."""
        return self._labels[clips_n]

    def bone_lengths(self, clips_n: Tensor) -> Tensor:
        """Return the mean bone lengths of clips' first bodies, as they are read, (N,) on the host.

        Axes are not yet scaled.
        """
        if self._normalisation.size_n is not None:
            return torch.ones(len(clips_n))
        return self._bone_n[clips_n]

    @cached_property
    def _bone_n(self) -> Tensor:
        """The sizes as recorded, measured when they are first asked for: scoring needs none."""
        return measure_sizes(self._clips, self.layout)

    def plan(self, clips_n: Tensor, positions_nt: Tensor) -> BatchPlan:
        """Return where the frames of clips at frame positions lie, on the host.

        Positions between two frames are interpolated linearly, or rounded down if the config reads
        whole frames.

        Args:
            clips_n: (N,) indices of the clips, on the host.
            positions_nt: (N, T) frame positions, on the host.
        """
        plan = self._plan(clips_n, positions_nt)
        if self._scales_axes and self._extent_of == "clip":
            return replace(plan, whole=tuple(self._plan_whole(clips_n)))
        return plan

    def read(self, plan: BatchPlan) -> Batch:
        """Return the clips of a plan that lies on the device."""
        if self._frames_fvc is not None:
            before_rtvc, after_rtvc = self._frames_fvc[plan.frames_2rt]
        else:
            read_2rtvc = plan.frames_2rt
            clip_f = plan.clip_r.repeat_interleave(read_2rtvc.shape[2]).repeat(2)
            frames_fvc = self._normalisation.apply(read_2rtvc.flatten(0, 2), clip_f)
            before_rtvc, after_rtvc = frames_fvc.view_as(read_2rtvc)
        x_rtvc = torch.lerp(before_rtvc, after_rtvc, plan.fraction_rt[:, :, None, None])
        clips, most = len(plan.labels_n), plan.most_bodies
        if most == 1:
            x_nmtvc = x_rtvc[:, None]
        else:
            flat = x_rtvc.new_zeros(clips * most, *x_rtvc.shape[1:])
            x_nmtvc = flat.index_copy(0, plan.body_rows, x_rtvc).unflatten(0, (clips, most))
        return Batch(x_nmtvc.permute(0, 4, 2, 3, 1), plan.body_rows, plan.labels_n)

    def scored_positions(self, clips_n: Tensor, view: View = WHOLE) -> Tensor:
        """Return the frame positions (N, T) at which a view of clips is scored, on the host."""
        positions_nt = view.positions(self.num_frames(clips_n), self.frames, self._whole_frames)
        share = view.shared_motion(self._motion_share)
        if not share:
            return positions_nt
        return self.motion.frames_at(clips_n, positions_nt, torch.full((len(clips_n),), share))

    def view(self, clips_n: Tensor, view: View = WHOLE) -> Batch:
        """Return a view of clips, as it is scored. Default: the clips, first to last frame."""
        plan = to_device(self.plan(clips_n, self.scored_positions(clips_n, view)), self.device)
        batch, change = self.read(plan), view.change(len(clips_n), self.layout, self.device)
        if change is None:
            return self.scaled(batch, plan)
        turned = replace(batch, joints_nctvm=change.apply(batch.joints_nctvm))
        return self.scaled(turned, plan, change.apply)

    def scaled(
        self, batch: Batch, plan: BatchPlan, change: Callable[[Tensor], Tensor] | None = None
    ) -> Batch:
        """Return a batch with scaled axes, if so configured.

        Args:
            batch: Clips, augmented or not.
            plan: Their plan, on the device.
            change: The augmentation of the batch, (N, C, T, V, M) kept, the same for each frame.
                None: not augmented.
        """
        if not self._scales_axes:
            return batch
        joints_nctvm, rows = batch.joints_nctvm, batch.body_rows
        if self._extent_of == "read":
            extent = axis_extent(joints_nctvm, rows)
        else:
            extent = self._clip_extent(plan, change)
        return replace(batch, joints_nctvm=scale_axes(joints_nctvm, rows, extent))

    def _clip_extent(
        self, plan: BatchPlan, change: Callable[[Tensor], Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Return what `axis_extent` does, over all frames of the clips."""
        lows, highs = [], []
        for part in map(self.read, plan.whole):
            joints_nctvm = change(part.joints_nctvm) if change else part.joints_nctvm
            low, high = axis_extent(joints_nctvm, part.body_rows)
            lows.append(low)
            highs.append(high)
        return torch.stack(lows).amin(0), torch.stack(highs).amax(0)

    def _plan(self, clips_n: Tensor, positions_nt: Tensor) -> BatchPlan:
        if self._whole_frames:
            positions_nt = positions_nt.floor()
        bodies_n = self._num_bodies[clips_n]
        clip_of_body = torch.repeat_interleave(torch.arange(len(clips_n)), bodies_n)
        first_body = torch.cumsum(bodies_n, 0) - bodies_n
        body_of_row = torch.arange(len(clip_of_body)) - first_body[clip_of_body]
        length_r = self._num_frames[clips_n][clip_of_body]
        start_r1 = (self._first_frame[clips_n][clip_of_body] + body_of_row * length_r)[:, None]
        most = int(bodies_n.max())
        positions_rt = positions_nt[clip_of_body]
        last_r1 = (length_r - 1)[:, None]
        before_rt = positions_rt.floor().long().clamp(max=last_r1)
        after_rt = (before_rt + 1).clamp(max=last_r1)
        frames_2rt = torch.stack([start_r1 + before_rt, start_r1 + after_rt])
        if self._frames_fvc is None:
            read = self._clips.frames[frames_2rt.flatten().numpy()]
            frames_2rt = torch.from_numpy(read).unflatten(0, frames_2rt.shape)
        return BatchPlan(
            frames_2rt,
            positions_rt - before_rt,
            clip_of_body * most + body_of_row,
            clips_n[clip_of_body],
            self._labels[clips_n],
            most,
        )

    def _plan_whole(self, clips_n: Tensor) -> Iterator[BatchPlan]:
        """Yield plans of all frames of clips; the last frame of a clip is repeated."""
        lengths_n = self.num_frames(clips_n)
        for start in range(0, int(lengths_n.max()), self.frames):
            frames_t = torch.arange(start, start + self.frames)
            yield self._plan(clips_n, frames_t.minimum(lengths_n[:, None] - 1).to(torch.float32))
