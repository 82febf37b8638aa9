"""Test clips that training has seen already, under another name.

Data sets are passed on with such: in a copy of NW-UCLA's `all_sqe`, two of the ten actions have in
view 3 the very joints of view 2, so that of protocol 12-3's test a fifth has been trained on.
"""

import numpy as np

from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.protocols import Split


def copies_of_training(clips: ClipSet, parts: Split) -> Int64Array:
    """Which test clips have, to the bit, the joints of a clip of train or val; sorted indices."""
    known: dict[tuple[int, int, bytes], list[int]] = {}
    # Most clips differ from all others in their first frame: no more than that is read of them.
    for index in [*parts.train.tolist(), *parts.val.tolist()]:
        known.setdefault(_opening(clips, index), []).append(index)
    found = [
        index
        for index in parts.test.tolist()
        if any(_same_joints(clips, index, each) for each in known.get(_opening(clips, index), ()))
    ]
    return np.array(found, dtype=np.int64)


def _opening(clips: ClipSet, index: int) -> tuple[int, int, bytes]:
    first = int(clips.first_frame[index])
    return (
        int(clips.num_bodies[index]),
        int(clips.num_frames[index]),
        clips.frames[first].tobytes(),
    )


def _same_joints(clips: ClipSet, one: int, other: int) -> bool:
    return np.array_equal(clips.clip(one).joints, clips.clip(other).joints)
