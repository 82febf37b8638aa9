"""Times of images: even where they are presented evenly, never ahead of their arrival."""

import numpy as np
import pytest

from hhmnet_core.live.clock import MAX_LATE, ImageClock

RATE = 25


def times(presented: np.ndarray | list[None], arrivals: np.ndarray) -> np.ndarray:
    clock = ImageClock()
    found = [clock.time(p, a) for p, a in zip(presented, arrivals, strict=True)]
    assert (np.diff(found) > 0).all()
    assert (np.array(found) <= arrivals + 1e-9).all()
    return np.array(found)


def test_late_arrivals_do_not_move_an_image() -> None:
    presented = 7 + np.arange(500) / RATE
    late = np.random.default_rng(1).uniform(0, 0.03, 500)
    late[::20] = 0  # the promptest ones
    found = times(presented, 1000 + np.arange(500) / RATE + late)
    # It may creep by 1 % of the time between two prompt images.
    error = found - (1000 + np.arange(500) / RATE)
    assert error.min() >= -1e-9 and error.max() < 0.01 * 20 / RATE
    assert np.abs(np.diff(found) - 1 / RATE).max() < 0.01 * 20 / RATE
    as_they_come = np.diff(late) + 1 / RATE
    assert np.abs(np.diff(found) - 1 / RATE).mean() < 0.1 * np.abs(as_they_come - 1 / RATE).mean()


def test_without_presented_times_arrivals_count() -> None:
    arrivals = np.cumsum(np.random.default_rng(2).uniform(0.01, 0.1, 50))
    np.testing.assert_allclose(times([None] * 50, arrivals), arrivals)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_presented_times_may_jump(jump: float) -> None:
    presented = np.arange(200) / RATE + np.where(np.arange(200) < 100, 0, jump)
    arrivals = 50 + np.arange(200) / RATE
    np.testing.assert_allclose(times(presented, arrivals), arrivals, atol=1e-3)


def test_a_backlog_that_comes_at_once_does_not_stay_a_delay() -> None:
    arrivals = np.concatenate([np.linspace(10, 10.01, 50), 10.01 + np.arange(1, 200) / RATE])
    found = times(np.arange(len(arrivals)) / RATE, arrivals)
    assert np.abs(found - arrivals)[50:].max() < 0.02


@pytest.mark.parametrize("claimed", [25.0, 60.0])
def test_made_up_times_are_given_up(claimed: float) -> None:
    arrivals = np.arange(300) / 10.0
    found = times(np.arange(300) / claimed, arrivals)
    np.testing.assert_allclose(np.diff(found)[30:], 0.1, atol=1e-6)


@pytest.mark.parametrize("speed", [0.992, 1.0001, 1.03])
def test_a_clock_of_another_speed_is_followed(speed: float) -> None:
    arrivals = np.arange(5000) / RATE
    found = times(arrivals * speed, arrivals)
    assert np.abs(found - arrivals).max() < MAX_LATE / 10
    np.testing.assert_allclose(np.diff(found), 1 / RATE, rtol=0.03)


def test_a_stall_is_a_gap_and_the_grid_goes_on_after_it() -> None:
    arrivals = np.arange(100) / RATE
    arrivals[50:] += 3
    found = times(np.arange(100) / RATE + np.where(np.arange(100) < 50, 0, 3), arrivals)
    np.testing.assert_allclose(found, arrivals, atol=1e-9)
