"""The set of 60 classes: different names, pairs in both orders, one action after the other."""

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.synthetic.recordings import LAYOUT, Recordings
from hhmnet_core.sources.synthetic.sequences import SIXTY_ACTIONS
from hhmnet_core.store.clips import check_clip


def test_there_are_sixty_classes_and_each_pair_has_its_reverse() -> None:
    names = [action.name for action in SIXTY_ACTIONS]
    assert len(set(names)) == 60
    pairs = [tuple(name.split(", then ")) for name in names if ", then " in name]
    assert len(pairs) == 42 and {pair[::-1] for pair in pairs} == {*pairs}
    assert not any(action.thing for action in SIXTY_ACTIONS)


def test_clips_can_be_trained_on_and_depend_on_the_seed() -> None:
    recordings = Recordings(1, 2, classes=60)
    assert recordings.names[-1] == "a60_s02_e01_v01"
    clips = [recordings.clip(name) for name in recordings.names]
    assert [clip.label for clip in clips] == [label for label in range(60) for _ in range(2)]
    for clip in clips:
        check_clip(clip, get_layout(LAYOUT), 60)
    again, other = (Recordings(seed, 2, classes=60).clip("a60_s02_e01_v01") for seed in (1, 2))
    np.testing.assert_array_equal(again.joints, clips[-1].joints)
    assert other.joints.shape != again.joints.shape or (other.joints != again.joints).any()


def test_the_second_action_follows_the_first() -> None:
    recordings = Recordings(1, 10, classes=60)
    layout, names = get_layout(LAYOUT), recordings.class_names

    def raised(name: str, hand: str) -> np.ndarray:
        """Return the mean height of a hand in each half of the clips, (2,)."""
        label = names.index(name) + 1
        halves = []
        for sample_id in recordings.names:
            if sample_id.startswith(f"a{label:02d}_"):
                height_t = recordings.clip(sample_id).joints[0, :, layout.joint(hand), 1]
                if len(height_t) > 5:
                    halves.append([half.mean() for half in np.array_split(height_t, 2)])
        return np.mean(halves, 0)

    for side, other in (("left", "right"), ("right", "left")):
        first = raised(f"wave {side}, then wave {other}", f"{side}_hand")
        second = raised(f"wave {other}, then wave {side}", f"{side}_hand")
        assert first[0] > first[1] and second[1] > second[0]


def test_other_numbers_of_classes_are_refused() -> None:
    with pytest.raises(InputError, match="classes must be one of 21, 60, but is 30"):
        Recordings(1, 2, classes=30)
