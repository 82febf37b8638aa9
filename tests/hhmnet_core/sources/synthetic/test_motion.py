"""The course of motions over their phase."""

import numpy as np
import pytest

from hhmnet_core.sources.synthetic.motion import Motion, blend, point


@pytest.fixture
def motion() -> Motion:
    return Motion(
        random=np.random.default_rng(0),
        phase=np.tile(np.linspace(0, 1, 101), (50, 1)),
        vigour=np.ones((50, 1)),
        dominant=np.zeros(50, int),
    )


def test_draws_are_one_number_per_clip_within_the_limits(motion: Motion) -> None:
    drawn = motion.draw(2.0, 3.0)
    assert drawn.shape == (50, 1) and ((drawn >= 2) & (drawn < 3)).all()
    assert len(np.unique(drawn)) == 50


def test_rise_is_monotonic_between_about_the_given_phases(motion: Motion) -> None:
    rise = motion.rise(0.2, 0.6)
    assert (np.diff(rise) >= 0).all()
    assert (rise[:, :16] == 0).all() and (rise[:, 64:] == 1).all()
    assert ((rise[:, 40] > 0.2) & (rise[:, 40] < 0.8)).all()


def test_rise_takes_a_while_even_without_an_interval(motion: Motion) -> None:
    fine = Motion(motion.random, np.tile(np.linspace(0, 1, 2001), (50, 1)), np.ones((50, 1)),
                  motion.dominant)  # fmt: skip
    rise = fine.rise(0.5, 0.5)
    assert (((rise > 0) & (rise < 1)).sum(1) >= 0.03 * 2000 - 2).all()


def test_hold_goes_up_and_down_again(motion: Motion) -> None:
    hold = motion.hold(0.1, 0.3, 0.6, 0.8)
    assert (hold[:, [0, 5, 85, 100]] == 0).all() and (hold[:, 45] == 1).all()


def test_wave_has_the_given_number_of_cycles(motion: Motion) -> None:
    wave = motion.wave(np.full((50, 1), 3.0))
    assert np.abs(wave).max() <= 1
    crossings = (np.diff(np.sign(wave[:, :-1])) != 0).sum(1)
    assert ((crossings >= 5) & (crossings <= 7)).all()


def test_points_take_numbers_and_arrays() -> None:
    assert point(1.0, 2.0, 3.0).tolist() == [[[1, 2, 3]]]
    points = point(np.zeros((4, 5)), 2.0, np.ones((4, 1)))
    assert points.shape == (4, 5, 3) and points[3, 4].tolist() == [0, 2, 1]


def test_blend_moves_by_shares() -> None:
    points, goal = np.zeros((2, 3)), np.array([[2.0, 4.0, 6.0]])
    blended = blend(points, goal, np.array([0.0, 0.5]))
    assert blended.tolist() == [[0, 0, 0], [1, 2, 3]]
