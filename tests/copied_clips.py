"""Clip sets in which a clip is a copy of another one."""

from dataclasses import replace

import numpy as np

from hhmnet_core.store.clips import ClipSet


def with_copy(clips: ClipSet, index: int, original: int) -> ClipSet:
    """Return the clips, of which the one at `index` has the joints of another one."""
    source = np.arange(len(clips))
    source[index] = original
    lengths, bodies = clips.num_frames[source], clips.num_bodies[source]
    rows = lengths * bodies
    frames = np.concatenate(
        [
            clips.frames[first : first + count]
            for first, count in zip(clips.first_frame[source].tolist(), rows.tolist(), strict=True)
        ]
    )
    first_frame = np.cumsum(rows) - rows
    return replace(
        clips, frames=frames, first_frame=first_frame, num_frames=lengths, num_bodies=bodies
    )
