"""Test clips that are copies of training clips."""

from dataclasses import replace

import numpy as np
from copied_clips import with_copy

from hhmnet_core.inputs.copies import copies_of_training
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import Split, split_clips


def test_only_test_clips_with_the_joints_of_training_are_copies(tiny_clips: ClipSet) -> None:
    split = split_clips(tiny_clips, "", "val")
    assert len(split.val)
    assert copies_of_training(tiny_clips, split).tolist() == []
    one, other, third = split.test[:3].tolist()
    clips = with_copy(tiny_clips, one, int(split.train[4]))
    clips = with_copy(clips, other, int(split.val[0]))
    clips = with_copy(clips, third, int(split.test[3]))  # twice in test is no leak
    assert copies_of_training(clips, split).tolist() == sorted([one, other])


def test_clips_that_begin_alike_are_no_copies(tiny_clips: ClipSet) -> None:
    train, test = 0, 1
    clips = with_copy(tiny_clips, test, train)
    first, length = int(clips.first_frame[train]), int(clips.num_frames[train])
    bodies = int(clips.num_bodies[train])
    own = clips.frames[first : first + length * bodies].copy()
    own[-1, -1, -1] += 1e-3
    moved = clips.first_frame.copy()
    moved[test] = len(clips.frames)
    clips = replace(clips, frames=np.concatenate([clips.frames, own]), first_frame=moved)
    none = np.zeros(0, dtype=np.int64)
    split = Split(np.array([train]), none, np.array([test]))
    assert copies_of_training(clips, split).tolist() == []
    clips.frames[moved[test] :] = tiny_clips.frames[first : first + length * bodies]
    assert copies_of_training(clips, split).tolist() == [test]
