"""Which images of a video show which frames of a skeleton."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hhmnet_core.sources.video_decoding import ImageTimes, NoVideoError
from hhmnet_core.sources.video_timing import Timing, even_positions


@given(frames=st.integers(1, 400), count=st.integers(1, 40))
def test_positions_are_the_middles_of_equal_sections(frames: int, count: int) -> None:
    positions = even_positions(frames, count)
    middles = [(2 * section + 1) * frames // (2 * count) for section in range(count)]
    assert positions.tolist() == middles
    assert positions.min() >= 0 and positions.max() < frames


def test_equal_numbers_of_images_and_frames_are_matched_one_to_one() -> None:
    timing = Timing(np.array([2, 3, 7, 9]), 10, rate=30.0)
    assert timing.images_at(np.array([0, 2, 3]), ImageTimes.constant(10, 15.0)).tolist() == [
        2,
        7,
        9,
    ]


def test_images_are_matched_by_time_where_both_rates_are_known() -> None:
    timing = Timing.whole(60, rate=30.0)  # two seconds
    numbers = timing.images_at(np.array([0, 15, 59]), ImageTimes.constant(40, 20.0))
    assert numbers.tolist() == [0, 10, 39]
    longer = timing.images_at(
        np.array([0, 15, 59]), ImageTimes.constant(90, 20.0)
    )  # goes on after the skeleton
    assert longer.tolist() == [0, 10, 39]


def test_without_a_rate_both_begin_and_end_together() -> None:
    timing = Timing.whole(60)
    assert timing.images_at(np.array([0, 30, 59]), ImageTimes.constant(20, 10.0)).tolist() == [
        0,
        10,
        19,
    ]


def test_far_too_few_images_are_refused_without_a_rate() -> None:
    with pytest.raises(NoVideoError, match="it has 1 image, but its skeleton 16 frames"):
        Timing.whole(16).images_at(np.array([3]), ImageTimes(1))
    assert Timing.whole(16).images_at(np.array([3]), ImageTimes(2)).tolist() == [0]


def test_video_that_ends_before_the_skeleton_is_refused() -> None:
    with pytest.raises(NoVideoError, match=r"it shows 1\.0 s, but its skeleton 2\.0 s"):
        Timing.whole(60, rate=30.0).images_at(np.array([3]), ImageTimes.constant(20, 20.0))
