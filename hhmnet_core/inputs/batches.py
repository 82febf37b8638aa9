"""Batches of skeletons, cut without a loop over samples, on the device that trains.

All bodies of all clips lie end to end in one tensor; a batch is one gather at fractional frame
positions, so the cost of a clip follows from its own length and number of bodies, not from the
longest clip's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.memory import fits_in_memory
from hhmnet_core.inputs.normalise import (
    axis_extent,
    iterate_chunks,
    measure_normalisation,
    scale_axes,
)
from hhmnet_core.skeleton.augment import frame_positions
from hhmnet_core.store.clips import ClipSet


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

    The clips stay on the device if they fit, else each batch is read from their file. Both give
    the same batches.

    Args:
        clips: The clips.
        config: Conversion of clips to model inputs.
        device: Device of the batches.
        resident: Keep the clips on the device. None: if they fit (`fits_in_memory`).
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
        self._scales_axes, self._extent_of = config.normalise_axes, config.axes_extent
        # On the host: shapes must be known without waiting for the device.
        self._num_frames = torch.from_numpy(clips.num_frames.copy())
        self._num_bodies = torch.from_numpy(clips.num_bodies.copy())
        self._first_frame = torch.from_numpy(clips.first_frame.copy())
        self._labels = torch.from_numpy(clips.labels.copy()).to(device)
        self._normalisation = measure_normalisation(
            clips, self.layout, config.align, config.normalise_size, config.align_by
        )
        if resident is None:
            resident = fits_in_memory(clips.frames.nbytes, device, sharers)
        self._mapped, self._frames_fvc = clips.frames, None
        if resident:
            self._frames_fvc = torch.empty(clips.frames.shape, device=device)
            start = 0
            for _, frames_fvc, clip_f in iterate_chunks(clips):
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

    def num_frames(self, clips_n: Tensor) -> Tensor:
        """Return the lengths of clips in frames, (N,) on the device."""
        return self._num_frames[clips_n].to(self.device, non_blocking=True)

    def labels(self, clips_n: Tensor) -> Tensor:
        """Return the classes of clips, (N,) on the device."""
        return self._labels[clips_n.to(self.device, non_blocking=True)]

    def batch(self, clips_n: Tensor, positions_nt: Tensor) -> Batch:
        """Return clips at frame positions.

        Positions between two frames are interpolated linearly, or rounded down if the config reads
        whole frames.

        Args:
            clips_n: (N,) indices of the clips, on the host.
            positions_nt: (N, T) frame positions.
        """
        if self._whole_frames:
            positions_nt = positions_nt.floor()
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
        fraction_rt11 = (positions_rt - before_rt)[:, :, None, None]
        start_r1 = start_r.to(to)[:, None]
        clip_r = clips_n[clip_of_body].to(to)
        x_rtvc = torch.lerp(
            self._read(start_r1 + before_rt, clip_r),
            self._read(start_r1 + after_rt, clip_r),
            fraction_rt11,
        )
        body_rows = body_rows.to(to)
        if most == 1:
            x_nmtvc = x_rtvc[:, None]
        else:
            flat = x_rtvc.new_zeros(len(clips_n) * most, *x_rtvc.shape[1:])
            x_nmtvc = flat.index_copy(0, body_rows, x_rtvc).unflatten(0, (len(clips_n), most))
        return Batch(x_nmtvc.permute(0, 4, 2, 3, 1), body_rows, self.labels(clips_n))

    def whole(self, clips_n: Tensor) -> Batch:
        """Return clips from their first to their last frame, as they are scored."""
        lengths_n = self.num_frames(clips_n)
        positions_nt = frame_positions(lengths_n, self.frames, self._whole_frames)
        return self.scaled(self.batch(clips_n, positions_nt), clips_n)

    def scaled(
        self, batch: Batch, clips_n: Tensor, change: Callable[[Tensor], Tensor] | None = None
    ) -> Batch:
        """Return a batch with scaled axes, if so configured.

        Args:
            batch: Clips, augmented or not.
            clips_n: (N,) their indices, on the host.
            change: The augmentation of the batch, (N, C, T, V, M) kept, the same for each frame.
                None: not augmented.
        """
        if not self._scales_axes:
            return batch
        joints_nctvm, rows = batch.joints_nctvm, batch.body_rows
        if self._extent_of == "read":
            extent = axis_extent(joints_nctvm, rows)
        else:
            extent = self._clip_extent(clips_n, change)
        return replace(batch, joints_nctvm=scale_axes(joints_nctvm, rows, extent))

    def _clip_extent(
        self, clips_n: Tensor, change: Callable[[Tensor], Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Return what `axis_extent` does, over all frames of the clips, T of them at a time."""
        last_n1 = (self.num_frames(clips_n) - 1)[:, None]
        lows, highs = [], []
        for start in range(0, int(self._num_frames[clips_n].max()), self.frames):
            frames_t = torch.arange(start, start + self.frames, device=self.device)
            part = self.batch(clips_n, frames_t.minimum(last_n1).to(torch.float32))
            joints_nctvm = change(part.joints_nctvm) if change else part.joints_nctvm
            low, high = axis_extent(joints_nctvm, part.body_rows)
            lows.append(low)
            highs.append(high)
        return torch.stack(lows).amin(0), torch.stack(highs).amax(0)

    def _read(self, rows_rt: Tensor, clip_r: Tensor) -> Tensor:
        """Return normalised frames (R, T, V, C) of the clips (R,)."""
        if self._frames_fvc is not None:
            return self._frames_fvc[rows_rt]
        read_fvc = torch.from_numpy(self._mapped[rows_rt.flatten().cpu().numpy()]).to(self.device)
        clip_f = clip_r.repeat_interleave(rows_rt.shape[1])
        frames_fvc = self._normalisation.apply(read_fvc, clip_f)
        return frames_fvc.view(*rows_rt.shape, *frames_fvc.shape[1:])
