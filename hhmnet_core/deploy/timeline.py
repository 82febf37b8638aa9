"""Long recordings: windows that are predicted one by one, and the timeline of actions from them.

Shapes: N windows, K classes, S steps of the timeline.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Clip

Window = tuple[int, int]  # first frame, and the frame after the last


@dataclass(frozen=True)
class Segment:
    """A part of a recording with one action.

    Attributes:
        start: Its first frame.
        stop: The frame after its last.
        label: Index of the class; None where the model is unsure.
        confidence: Mean probability of the class; of an unsure part, that of the likeliest one; 0
            where nobody is.
        is_empty: Whether nobody is in view.
    """

    start: int
    stop: int
    label: int | None
    confidence: float
    is_empty: bool = False


def cut_windows(num_frames: int, size: int, stride: int) -> list[Window]:
    """Return windows of a recording, the last of which ends with it.

    A recording that is shorter than a window is one window.

    Args:
        num_frames: Frames of the recording.
        size: Frames of a window.
        stride: Frames from the start of a window to that of the next one.

    Raises:
        InputError: A size or stride below 1, or a stride above the size, which would leave frames
            out.
    """
    if not 1 <= stride <= size:
        raise InputError(
            f"Windows of {size} frames with a stride of {stride} cannot be used: expected a stride "
            "of at least one frame and at most a window."
        )
    last = max(0, num_frames - size)
    starts = [*range(0, last, stride), last]
    return [(start, min(start + size, num_frames)) for start in starts]


def cut_clip(clip: Clip, window: Window) -> Clip:
    """Return the frames of a window as a clip, with the bodies that are present in them.

    Where nobody is, one body stands still at the origin, as it does in a clip between its people.
    """
    start, stop = window
    if (start, stop) == (0, clip.joints.shape[1]):
        return clip
    joints = clip.joints[:, start:stop]
    present = np.any(joints != 0, axis=(1, 2, 3))
    present[0] |= not present.any()
    missing = None if clip.missing is None else clip.missing[present, start:stop]
    return replace(clip, joints=joints[present], missing=missing, pixels=None, video=None)


def absences(clip: Clip, shortest: int) -> list[Window]:
    """Return the stretches of at least `shortest` frames in which nobody is in view.

    Joints that were filled in, such as all of a frame without people, do not count.
    """
    known_mtv = np.any(clip.joints != 0, -1)
    if clip.missing is not None:
        known_mtv &= ~clip.missing
    seen_t = known_mtv.any((0, 2))
    changes = np.flatnonzero(np.diff(np.r_[True, seen_t, True].astype(np.int8)))
    stretches = zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True)
    return [(start, stop) for start, stop in stretches if stop - start >= shortest]


def frame_probabilities(
    windows: Sequence[Window], rows_nk: NDArray[np.float64], frames: int
) -> NDArray[np.float64]:
    """Return the mean probabilities (T, K) of the windows that cover each of T frames."""
    sums, counts = np.zeros((frames, rows_nk.shape[1])), np.zeros((frames, 1))
    for (start, stop), row_k in zip(windows, rows_nk, strict=True):
        sums[start:stop] += row_k
        counts[start:stop] += 1
    mean: NDArray[np.float64] = sums / counts
    return mean


def merge_windows(
    windows: Sequence[Window],
    probabilities_nk: NDArray[np.float64],
    threshold: float,
    empty: Sequence[Window] = (),
) -> list[Segment]:
    """Return the timeline of a recording from the probabilities of its windows.

    The recording is divided where any window begins or ends. A step takes the mean probabilities of
    the windows that cover it. Neighbouring steps of the same class, and unsure ones, are joined.

    Args:
        windows: N windows that cover the recording.
        probabilities_nk: (N, K) their probabilities.
        threshold: Confidence below which a step is unsure.
        empty: Stretches in which nobody is in view, which become parts of their own.
    """
    borders = sorted({frame for window in (*windows, *empty) for frame in window})
    first_n, stop_n = np.array(windows).T
    segments: list[Segment] = []
    lengths: list[int] = []
    for start, stop in itertools.pairwise(borders):
        if any(first <= start and stop <= last for first, last in empty):
            if segments and segments[-1].is_empty:
                segments[-1] = replace(segments[-1], stop=stop)
                lengths[-1] += stop - start
            else:
                segments.append(Segment(start, stop, None, 0.0, is_empty=True))
                lengths.append(stop - start)
            continue
        mean_k = probabilities_nk[(first_n <= start) & (stop_n >= stop)].mean(0)
        best = int(mean_k.argmax())
        confidence = float(mean_k[best])
        label = best if confidence >= threshold else None
        if segments and segments[-1].label == label and not segments[-1].is_empty:
            before, length = segments[-1], lengths[-1]
            total = length + stop - start
            mean = (before.confidence * length + confidence * (stop - start)) / total
            segments[-1], lengths[-1] = Segment(before.start, stop, label, mean), total
        else:
            segments.append(Segment(start, stop, label, confidence))
            lengths.append(stop - start)
    return segments
