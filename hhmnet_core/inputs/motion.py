"""Frames by motion: positions in clips by how far their joints have moved, not by the clock alone.

Recordings of one action differ in how long people rest before and after it. Positions that lie
evenly in the movement give the action the same share of the frames everywhere. It is what MGSampler
does for video (Zhi et al., ICCV 2021), with the movement of joints in place of differences of
images.

Shapes: N clips, T frames of a clip, T' positions, F frames of all bodies, V joints, C coordinates.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from hhmnet_core.inputs.normalise import watched_chunks
from hhmnet_core.store.clips import ClipSet


class Motion:
    """The movement of all clips of a set. It lies on the host.

    The movement from a frame to the next is how far joints go in the five frames around them,
    summed over joints and bodies; where a body is absent, it does not move.

    Args:
        clips: The clips. All their frames are read once.
    """

    def __init__(self, clips: ClipSet) -> None:
        self._num_frames = torch.from_numpy(clips.num_frames.copy())
        self._first = torch.cumsum(self._num_frames, 0) - self._num_frames
        self._passed_f = torch.cat([torch.empty(0), *_iterate_passed(clips)])

    def frames_at(self, clips_n: Tensor, positions_nt: Tensor, share_n: Tensor) -> Tensor:
        """Return the frames at positions that are counted by the clock and by motion.

        Args:
            clips_n: (N,) indices of the clips.
            positions_nt: (N, T') positions, of which a clip of T frames has 0 to T - 1.
            share_n: (N,) shares of motion in the count, 0 to 1; the clock has the rest.

        Returns:
            (N, T') float32 fractional frames.
        """
        lengths_n = self._num_frames[clips_n]
        frame_t = torch.arange(int(lengths_n.max()))
        rows_nt = self._first[clips_n][:, None] + frame_t.minimum(lengths_n[:, None] - 1)
        return frames_by_motion(self._passed_f[rows_nt], lengths_n, positions_nt, share_n[:, None])


def _iterate_passed(clips: ClipSet) -> Iterator[Tensor]:
    """Yield the share of movement that has passed at each frame, of the frames of whole clips."""
    for numbers, frames_fvc, clip_f in watched_chunks(clips, "measuring motion"):
        lengths_n = torch.from_numpy(clips.num_frames[numbers.numpy()])
        first_n = torch.from_numpy(clips.first_frame[numbers.numpy()])
        clip_f = clip_f - numbers[0]
        row_f, length_f = torch.arange(len(clip_f)), lengths_n[clip_f]
        frame_f = (row_f - (first_n - first_n[0])[clip_f]) % length_f
        start_f = row_f - frame_f
        before_f, after_f = (start_f + each for each in around(frame_f, length_f - 1))
        seen_f = (frames_fvc != 0).flatten(1).any(1)
        moves_f = seen_f[before_f] & seen_f[after_f] & (frame_f < length_f - 1)
        moved_f = (frames_fvc[after_f] - frames_fvc[before_f]).norm(dim=2).sum(1) * moves_f
        longest = int(lengths_n.max())
        movement = torch.zeros(len(numbers) * longest)
        movement.index_add_(0, clip_f * longest + frame_f, moved_f)
        passed_nt = share_passed(movement.view(-1, longest), lengths_n)
        yield passed_nt[torch.arange(longest) < lengths_n[:, None]]


def around(frame_t: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and last of the five frames around the step from each frame to the next."""
    return (frame_t - 2).clamp_min(0), torch.minimum(frame_t + 3, last)


def frames_by_motion(
    passed_nt: Tensor, num_frames_n: Tensor, positions_nt: Tensor, share_n1: Tensor | float
) -> Tensor:
    """Return the frames (N, T') at positions that are counted by the clock and by motion.

    Args:
        passed_nt: (N, T) the movement of a clip until each frame, as a share of all its movement;
            anything beyond its frames.
        num_frames_n: (N,) number of frames of each clip, long.
        positions_nt: (N, T') positions, of which a clip of T frames has 0 to T - 1.
        share_n1: Share of motion in the count, 0 to 1, (N, 1) or the same for all.
    """
    frame_t = torch.arange(passed_nt.shape[1], device=passed_nt.device)
    last_n1 = (num_frames_n - 1)[:, None]
    count_nt = frame_t + share_n1 * (last_n1 * passed_nt - frame_t)
    reached_ntt = (count_nt[:, None] <= positions_nt[:, :, None]) & (frame_t < last_n1)[:, None]
    before_nt = (reached_ntt.sum(2) - 1).clamp_min(0)
    after_nt = torch.minimum(before_nt + 1, last_n1)
    start_nt, stop_nt = count_nt.gather(1, before_nt), count_nt.gather(1, after_nt)
    step_nt = torch.where(stop_nt > start_nt, stop_nt - start_nt, 1)
    return before_nt + ((positions_nt - start_nt) / step_nt).clamp(0, 1)


def share_passed(movement_nt: Tensor, num_frames_n: Tensor) -> Tensor:
    """Return the share of a clip's movement that has passed at each frame, (N, T).

    Args:
        movement_nt: (N, T) movement from each frame to the next, zero from the last on.
        num_frames_n: (N,) number of frames of each clip. A clip without movement counts by them.
    """
    moves_n1 = movement_nt.sum(1, keepdim=True) > 0
    frame_t = torch.arange(movement_nt.shape[1], device=movement_nt.device)
    clock_nt = (frame_t < (num_frames_n - 1)[:, None]).to(movement_nt.dtype)
    movement_nt = torch.where(moves_n1, movement_nt, clock_nt)
    sums_nt = pad(movement_nt, (1, 0)).cumsum(1)  # until each frame, and in all
    all_n1 = sums_nt[:, -1:]
    return sums_nt[:, :-1] / torch.where(all_n1 > 0, all_n1, 1)
