"""Windows of long recordings, and the timeline that is made from them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hhmnet_core.deploy.timeline import Segment, absences, cut_windows, merge_windows
from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Clip


@pytest.mark.parametrize(
    ("frames", "size", "stride", "expected"),
    [
        (10, 4, 3, [(0, 4), (3, 7), (6, 10)]),
        (11, 4, 3, [(0, 4), (3, 7), (6, 10), (7, 11)]),
        (3, 4, 2, [(0, 3)]),
        (4, 4, 4, [(0, 4)]),
        (1, 1, 1, [(0, 1)]),
    ],
)
def test_windows(frames: int, size: int, stride: int, expected: list[tuple[int, int]]) -> None:
    assert cut_windows(frames, size, stride) == expected


@given(st.integers(1, 400), st.integers(1, 60), st.data())
def test_windows_cover_every_frame(frames: int, size: int, data: st.DataObject) -> None:
    windows = cut_windows(frames, size, data.draw(st.integers(1, size)))
    covered = {frame for start, stop in windows for frame in range(start, stop)}
    assert covered == set(range(frames))
    assert all(stop - start == min(size, frames) for start, stop in windows)
    assert windows == sorted(set(windows))


@pytest.mark.parametrize(("size", "stride"), [(4, 5), (4, 0), (0, 0)])
def test_strides_that_leave_frames_out_are_refused(size: int, stride: int) -> None:
    with pytest.raises(InputError, match="stride"):
        cut_windows(10, size, stride)


def test_neighbours_of_one_class_are_joined_and_overlaps_averaged() -> None:
    windows = [(0, 4), (2, 6), (4, 8)]
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.1, 0.9]])
    # Means by step: 0-2 (.9, .1); 2-4 (.75, .25); 4-6 (.35, .65); 6-8 (.1, .9).
    found = merge_windows(windows, probabilities, 0.0)
    assert [(each.start, each.stop, each.label) for each in found] == [(0, 4, 0), (4, 8, 1)]
    np.testing.assert_allclose([each.confidence for each in found], [0.825, 0.775])


def test_steps_below_the_threshold_are_unsure() -> None:
    windows = [(0, 4), (2, 6), (4, 8)]
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.1, 0.9]])
    found = merge_windows(windows, probabilities, 0.7)
    assert [(each.start, each.stop, each.label) for each in found] == [
        (0, 4, 0),
        (4, 6, None),
        (6, 8, 1),
    ]
    assert found[1] == Segment(4, 6, None, pytest.approx(0.65))


def test_the_timeline_has_no_gap() -> None:
    random = np.random.default_rng(1)
    windows = cut_windows(101, 17, 5)
    probabilities = random.dirichlet(np.ones(4), len(windows))
    found = merge_windows(windows, probabilities, 0.4)
    assert found[0].start == 0 and found[-1].stop == 101
    for one, other in itertools.pairwise(found):
        assert one.stop == other.start and one.label != other.label


@pytest.mark.parametrize(
    ("seen", "shortest", "expected"),
    [
        ("111", 1, []),
        ("1001", 2, [(1, 3)]),
        ("1001", 3, []),
        ("000", 2, [(0, 3)]),
        ("0010011000", 2, [(0, 2), (3, 5), (7, 10)]),
    ],
)
def test_absences(seen: str, shortest: int, expected: list[tuple[int, int]]) -> None:
    joints = np.zeros((2, len(seen), 3, 2), np.float32)
    joints[1, :, 2, 0] = [int(each) for each in seen]
    clip = Clip("a", 0, 0, 0, 0, joints)
    assert absences(clip, shortest) == expected
    # Poses that were made up between those before and after show nobody.
    filled = replace(clip, joints=joints + 1, missing=~np.any(joints != 0, -1))
    assert absences(filled, shortest) == expected


def test_a_part_without_people_has_no_action() -> None:
    windows = [(0, 4), (2, 6), (4, 8), (6, 10)]
    probabilities = np.array([[0.9, 0.1]] * 4)
    found = merge_windows(windows, probabilities, 0.5, [(3, 7)])
    assert [(each.start, each.stop, each.label, each.is_empty) for each in found] == [
        (0, 3, 0, False),
        (3, 7, None, True),
        (7, 10, 0, False),
    ]
    unsure = merge_windows(windows, probabilities, 0.95, [(3, 7)])
    assert [(each.start, each.is_empty) for each in unsure] == [(0, False), (3, True), (7, False)]
