"""An action performed in every clip: its length, bodies, and what the sensor records of it."""

import numpy as np
import pytest

from hhmnet_core.sources.synthetic.actions import ACTIONS
from hhmnet_core.sources.synthetic.performance import MAX_FRAMES, Performance, perform
from hhmnet_core.sources.synthetic.subjects import NUM_SUBJECTS, draw_subjects

CLIPS = 60
ACTION_OF = {action.name: action for action in ACTIONS}


def performance(name: str, seed: int = 0) -> Performance:
    subjects = draw_subjects(np.random.default_rng(9))
    index_n = np.arange(CLIPS)
    random = np.random.default_rng(seed)
    return perform(ACTION_OF[name], subjects, index_n % NUM_SUBJECTS, index_n % 3, random)


@pytest.fixture(scope="module")
def walk() -> Performance:
    return performance("walk")


def test_clips_lie_within_the_frames_drawn(walk: Performance) -> None:
    assert walk.true.shape[:2] == (CLIPS, 1) and walk.true.shape[3:] == (20, 3)
    assert walk.sensed.shape == walk.true.shape and walk.sensed.dtype == np.float32
    assert 8 <= walk.true.shape[2] <= MAX_FRAMES
    assert (walk.first >= 0).all() and (walk.first + walk.frames <= walk.true.shape[2]).all()


def test_slower_subjects_take_longer() -> None:
    subjects = draw_subjects(np.random.default_rng(9))
    subjects.tempo[:5], subjects.tempo[5:] = 0.5, 2.0
    index_n = np.arange(200) % NUM_SUBJECTS
    made = perform(ACTION_OF["bow"], subjects, index_n, index_n % 3, np.random.default_rng(0))
    slow, fast = (np.median(made.frames[mask]) for mask in (index_n < 5, index_n >= 5))
    assert slow > 2.5 * fast


def test_sensor_errs_by_centimetres(walk: Performance) -> None:
    for clip in range(CLIPS):
        frames = slice(walk.first[clip], walk.first[clip] + walk.frames[clip])
        error = np.abs(walk.sensed[clip, :, frames] - walk.true[clip, :, frames])
        assert np.median(error) < 0.02


def test_most_people_prefer_the_right_hand(walk: Performance) -> None:
    assert set(walk.side) == {0, 1} and walk.side.mean() > 0.6


def test_partners_are_two_people_in_either_order() -> None:
    made = performance("shake hands")
    assert made.people.shape == (CLIPS, 2)
    assert (made.people[:, 0] != made.people[:, 1]).all()
    actor_first = made.people[:, 0] == np.arange(CLIPS) % NUM_SUBJECTS
    assert 0.3 < actor_first.mean() < 0.7
    distance = np.linalg.norm(made.true[:, 0, :, 0] - made.true[:, 1, :, 0], axis=-1)
    assert ((distance.min(1) > 0.3) & (distance.max(1) < 2)).all()


def test_seed_decides_everything(walk: Performance) -> None:
    again, other = performance("walk"), performance("walk", seed=1)
    for name, values in vars(walk).items():
        np.testing.assert_array_equal(values, getattr(again, name))
    assert walk.sensed.shape != other.sensed.shape or not np.array_equal(walk.sensed, other.sensed)
