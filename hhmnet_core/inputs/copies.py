"""Test clips that are copies of training clips, under another sample id.

Some distributed data sets have them: in a copy of NW-UCLA's `all_sqe`, two of the ten actions have
the same joints in view 3 as in view 2, so training has a fifth of the test clips of protocol 12-3.
"""

import numpy as np

from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.protocols import Split


def copies_of_training(clips: ClipSet, split: Split) -> Int64Array:
    """Return sorted indices of test clips whose joints equal those of a clip of train or val."""
    known: dict[tuple[int, int, bytes], list[int]] = {}
    # Most clips differ from all others in their first frame, and no more of them is read.
    for index in [*split.train.tolist(), *split.val.tolist()]:
        known.setdefault(_fingerprint(clips, index), []).append(index)
    copies = [
        index
        for index in split.test.tolist()
        if any(
            _same_joints(clips, index, each) for each in known.get(_fingerprint(clips, index), ())
        )
    ]
    return np.array(copies, dtype=np.int64)


def _fingerprint(clips: ClipSet, index: int) -> tuple[int, int, bytes]:
    first = int(clips.first_frame[index])
    return (
        int(clips.num_bodies[index]),
        int(clips.num_frames[index]),
        clips.frames[first].tobytes(),
    )


def _same_joints(clips: ClipSet, one: int, other: int) -> bool:
    return np.array_equal(clips.clip(one).joints, clips.clip(other).joints)
