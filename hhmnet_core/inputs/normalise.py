"""Normalisation of clips: moved to their centre and, as configured, rotated and scaled."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.notices import watched
from hhmnet_core.skeleton.augment import rotation
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.store.clips import ClipSet

CHUNK_FRAMES = 1 << 16

AlignBy = Literal["shoulders", "torso"]


@dataclass(frozen=True)
class Normalisation:
    """Centre, rotation and size of each clip of a set.

    They are those of a clip's first body, so that its bodies keep their relative positions, and
    come from the frames in which the joints concerned were not missing, where there are such.

    Attributes:
        centre_nc: (N, C) centre joint in the first frame that shows the first body.
        turn_ncc: (N, C, C) rotation that aligns the shoulders with x on average. None: no rotation.
        size_n: (N,) what `measure_sizes` returns. None: no scaling.
    """

    centre_nc: Tensor
    turn_ncc: Tensor | None
    size_n: Tensor | None

    def to(self, device: torch.device) -> "Normalisation":
        turn, size = self.turn_ncc, self.size_n
        return Normalisation(
            self.centre_nc.to(device),
            None if turn is None else turn.to(device),
            None if size is None else size.to(device),
        )

    def apply(self, frames_fvc: Tensor, clip_f: Tensor) -> Tensor:
        """Return normalised frames (F, V, C) of clips (F,), equal to the bit in any selection."""
        frames_fvc = frames_fvc - self.centre_nc[clip_f][:, None]
        if self.turn_ncc is not None:
            # Written out: a matrix product's rounding depends on the number of frames.
            turn_f1cc = self.turn_ncc[clip_f][:, None]
            products = [
                turn_f1cc[..., c] * frames_fvc[..., c, None] for c in range(frames_fvc.shape[2])
            ]
            frames_fvc = sum(products[1:], products[0])
        if self.size_n is not None:
            frames_fvc = frames_fvc / self.size_n[clip_f][:, None, None]
        return frames_fvc


def iterate_chunks(clips: ClipSet) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield whole clips: indices (n,), frames (f, V, C), and the clip of each frame (f,)."""
    rows = clips.num_frames * clips.num_bodies
    start = 0
    while start < len(clips):
        first = int(clips.first_frame[start])
        stop = start + 1
        while stop < len(clips) and clips.first_frame[stop] + rows[stop] <= first + CHUNK_FRAMES:
            stop += 1
        last = int(clips.first_frame[stop - 1] + rows[stop - 1])
        numbers = torch.arange(start, stop)
        yield (
            numbers,
            torch.from_numpy(clips.frames[first:last].copy()),
            torch.repeat_interleave(numbers, torch.from_numpy(rows[start:stop].copy())),
        )
        start = stop


def watched_chunks(clips: ClipSet, task: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield what `iterate_chunks` does, with notices of how far the task is."""
    return watched(iterate_chunks(clips), task, len(clips), lambda chunk: len(chunk[0]))


def measure_normalisation(
    clips: ClipSet,
    layout: Layout,
    align: bool,
    normalise_size: bool,
    align_by: AlignBy = "shoulders",
) -> Normalisation:
    """Measure the normalisation of a clip set, with one chunk of it in memory at a time.

    Raises InputError where clips of the layout cannot be aligned.
    """
    if align and layout.channels != 3:
        raise InputError(
            f"data.align rotates clips about the vertical, which layout {layout.name} with "
            f"{layout.channels} channels does not have: set data.align to false."
        )
    centres = [torch.empty(0, layout.channels)]
    turns: list[Tensor] = []
    sizes: list[Tensor] = []
    for frames_fvc, first_n, body in _first_bodies(clips, layout, "measuring bodies"):
        centres.append(frames_fvc[first_n, layout.centre])
        if align:
            turns.append(_measure_turns(body, layout, align_by))
        if normalise_size:
            sizes.append(_measure_sizes(body, layout))
    return Normalisation(
        torch.cat(centres), torch.cat(turns) if align else None, torch.cat(sizes) if sizes else None
    )


def measure_sizes(clips: ClipSet, layout: Layout) -> Tensor:
    """Return the mean bone length (N,) of each clip's first body, 1 for a clip without any.

    It is the mean over the frames that show the body.
    """
    bodies = _first_bodies(clips, layout, "measuring bones")
    return torch.cat([_measure_sizes(body, layout) for _, _, body in bodies])


def _first_bodies(
    clips: ClipSet, layout: Layout, task: str
) -> Iterator[tuple[Tensor, Tensor, "_Body"]]:
    """Yield chunks of clips: frames (f, V, C), the first with the centre (n,), first bodies."""
    for numbers, frames_fvc, clip_f in watched_chunks(clips, task):
        counts_n = torch.from_numpy(clips.num_frames[numbers.numpy()])
        first_n = torch.from_numpy(clips.first_frame[numbers.numpy()])
        first_n, clip_f = first_n - first_n[0], clip_f - numbers[0]
        in_first_body = torch.arange(len(clip_f)) - first_n[clip_f] < counts_n[clip_f]
        # Frames without the body are zeros.
        seen_f = in_first_body & (frames_fvc != 0).flatten(1).any(1)
        first_n = _first_frames(seen_f, clip_f, first_n)
        known_fv = None
        if clips.missing is not None:
            start = int(clips.first_frame[int(numbers[0])])
            known_fv = ~torch.from_numpy(clips.missing[start : start + len(frames_fvc)])
            first_n = _first_frames(seen_f & known_fv[:, layout.centre], clip_f, first_n)
            known_fv = known_fv[seen_f]
        body = _Body(frames_fvc[seen_f], clip_f[seen_f], len(numbers), known_fv)
        yield frames_fvc, first_n, body


@dataclass(frozen=True)
class _Body:
    """The frames that show the first body of each of some clips.

    Attributes:
        frames_fvc: (F, V, C) the frames.
        clip_f: (F,) number of each frame's clip.
        num_clips: Number of clips.
        known_fv: (F, V) Whether a position was not missing. None: none was.
    """

    frames_fvc: Tensor
    clip_f: Tensor
    num_clips: int
    known_fv: Tensor | None

    def vectors(self, to: list[int], start: list[int]) -> tuple[Tensor, Tensor | None]:
        """Return the vectors (F, K, C) between pairs of joints, and whether both are known."""
        known_fv = self.known_fv
        known_fk = None if known_fv is None else known_fv[:, to] & known_fv[:, start]
        return self.frames_fvc[:, to] - self.frames_fvc[:, start], known_fk


def _first_frames(seen_f: Tensor, clip_f: Tensor, default_n: Tensor) -> Tensor:
    """Return the first frame of each clip that is seen, or the default."""
    nowhere = len(seen_f)
    first_n = torch.full_like(default_n, nowhere).scatter_reduce_(
        0, clip_f[seen_f], seen_f.nonzero()[:, 0], "amin"
    )
    return torch.where(first_n < nowhere, first_n, default_n)


def body_lines(layout: Layout, align_by: AlignBy) -> tuple[list[int], list[int]]:
    """Return the left and right joints of the lines that an alignment turns along x."""
    pairs = [(layout.joint("left_shoulder"), layout.joint("right_shoulder"))]
    if align_by == "torso" and {"left_hip", "right_hip"} <= set(layout.joints):
        pairs.append((layout.joint("left_hip"), layout.joint("right_hip")))
    left, right = zip(*pairs, strict=True)
    return list(left), list(right)


def _measure_turns(body: _Body, layout: Layout, align_by: AlignBy) -> Tensor:
    across_fkc, known_fk = body.vectors(*body_lines(layout, align_by))
    if align_by == "shoulders":
        across_nc = _clip_means(across_fkc[:, 0], body.clip_f, body.num_clips, known_fk)
        yaw_n = torch.atan2(across_nc[:, 2], across_nc[:, 0]) - torch.pi
    else:
        yaw_n = _torso_yaw(body, across_fkc[..., 0], across_fkc[..., 2], known_fk)
    return rotation(torch.stack([torch.zeros_like(yaw_n), yaw_n, torch.zeros_like(yaw_n)], 1))


def _torso_yaw(body: _Body, x_fk: Tensor, z_fk: Tensor, known_fk: Tensor | None) -> Tensor:
    """Return the yaw (N,) of clips from the horizontal vectors of K lines, right to left joint.

    Each line counts by its mean vector, in units of its mean length. To their sum comes a vector
    that points as the lines of a person do who faces the sensor, as long as the mean distance of a
    line's vectors from their mean. Seen from the side, a sensor confuses the near and the far
    shoulder: the vectors of a clip then contradict each other, and their mean points anywhere.
    """

    def means(values_fk: Tensor) -> Tensor:
        return _clip_means(values_fk, body.clip_f, body.num_clips, known_fk)

    lengths_nk = means(torch.hypot(x_fk, z_fk))
    lengths_nk = torch.where(lengths_nk > 0, lengths_nk, 1)
    x_nk, z_nk = means(x_fk), means(z_fk)
    spread_fk = torch.hypot(x_fk - x_nk[body.clip_f], z_fk - z_nk[body.clip_f])
    x_n = ((x_nk - means(spread_fk)) / lengths_nk).sum(1)
    return torch.atan2((z_nk / lengths_nk).sum(1), x_n) - torch.pi


def _measure_sizes(body: _Body, layout: Layout) -> Tensor:
    bones_fvc, known_fv = body.vectors(list(range(layout.num_joints)), list(layout.parents))
    if known_fv is None:
        lengths_n = _clip_means(bones_fvc.norm(dim=2).sum(1), body.clip_f, body.num_clips)
    else:  # the mean of each bone, as some may be missing more often than others
        lengths_nv = _clip_means(bones_fvc.norm(dim=2), body.clip_f, body.num_clips, known_fv)
        lengths_n = lengths_nv.sum(1)
    size_n = lengths_n / len(layout.bones)
    # A clip without any bone length (all joints in one point) stays as it is.
    return torch.where(size_n > 0, size_n, torch.ones_like(size_n))


def _clip_means(
    values_f: Tensor, clip_f: Tensor, num_clips: int, known_f: Tensor | None = None
) -> Tensor:
    """Return the mean over the frames of each clip, zero for a clip without frames.

    Args:
        values_f: (F, ...) values.
        clip_f: (F,) number of each frame's clip.
        num_clips: Number of clips.
        known_f: (F, K) Whether a value counts, for values (F, K); K may be 1. Where none of a clip
            does, all do. None: all count.
    """
    sums = torch.zeros(num_clips, *values_f.shape[1:])
    if known_f is None:
        counts_n = torch.bincount(clip_f, minlength=num_clips).clamp_min(1)
        counts = counts_n.view(-1, *[1] * (values_f.dim() - 1))
        return sums.index_add_(0, clip_f, values_f) / counts
    known_counts = torch.zeros(num_clips, known_f.shape[1])
    has_known = known_counts.index_add_(0, clip_f, known_f.to(values_f.dtype)) > 0
    weights_f = (known_f | ~has_known[clip_f]).to(values_f.dtype)
    counts = torch.zeros(num_clips, known_f.shape[1]).index_add_(0, clip_f, weights_f)
    return sums.index_add_(0, clip_f, values_f * weights_f) / counts.clamp_min(1)


def axis_extent(joints_nctvm: Tensor, body_rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the smallest and largest coordinates of clips, over frames and present bodies.

    Args:
        joints_nctvm: (N, C, T, V, M) joints.
        body_rows: (R,) indices of the present bodies among the N * M.

    Returns:
        Two tensors (N, C, 1, 1, 1).
    """
    present_n111m = _present(joints_nctvm, body_rows)
    low = torch.where(present_n111m, joints_nctvm, torch.inf).amin((2, 3, 4), keepdim=True)
    high = torch.where(present_n111m, joints_nctvm, -torch.inf).amax((2, 3, 4), keepdim=True)
    return low, high


def scale_axes(joints_nctvm: Tensor, body_rows: Tensor, extent: tuple[Tensor, Tensor]) -> Tensor:
    """Scale each axis of each clip so that its extent becomes [-1, 1].

    An axis along which nothing differs becomes zero; absent bodies stay zero.

    Args:
        joints_nctvm: (N, C, T, V, M) joints.
        body_rows: (R,) indices of the present bodies among the N * M.
        extent: Smallest and largest coordinates, as `axis_extent` returns them.
    """
    low, high = extent
    half = (high - low) / 2
    scaled = (joints_nctvm - (high + low) / 2) / torch.where(half > 0, half, 1)
    return torch.where(_present(joints_nctvm, body_rows), scaled, 0)


def _present(joints_nctvm: Tensor, body_rows: Tensor) -> Tensor:
    """Return which bodies are present, (N, 1, 1, 1, M)."""
    clips, bodies = joints_nctvm.shape[0], joints_nctvm.shape[-1]
    present_nm = torch.zeros(clips * bodies, dtype=torch.bool, device=joints_nctvm.device)
    present_nm[body_rows] = True
    return present_nm.view(clips, 1, 1, 1, bodies)
