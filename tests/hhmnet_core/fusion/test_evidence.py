"""What val can tell: effective clips, intraclass correlation, standard errors by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from score_tables import make_table

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.evidence import (
    PRIOR_CORRELATION,
    effective_clips,
    measure_gain,
    subjects_of,
    within_subjects,
)


def test_effective_clips_lie_between_subjects_and_clips() -> None:
    sizes = np.array([50, 50, 50, 50])
    assert effective_clips(sizes, 0.0) == 200
    assert effective_clips(sizes, 1.0) == pytest.approx(4)
    assert effective_clips(sizes, 0.1) == pytest.approx(200 / 5.9)


def test_one_subject_has_the_prior_correlation() -> None:
    gains = np.random.default_rng(1).normal(size=60)
    assert within_subjects(gains, np.zeros(60, dtype=np.int64)) == PRIOR_CORRELATION


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_many_subjects_tell_the_correlation(correlation: float) -> None:
    random = np.random.default_rng(2)
    subjects = np.repeat(np.arange(500), 10)
    gains = np.sqrt(correlation) * random.normal(size=500)[subjects]
    gains += np.sqrt(1 - correlation) * random.normal(size=5000)
    assert within_subjects(gains, subjects) == pytest.approx(correlation, abs=0.04)


def test_standard_error_is_the_spread_over_draws_of_subjects() -> None:
    random = np.random.default_rng(3)
    subjects = np.repeat(np.arange(40), 25)
    means, errors = [], []
    for _ in range(300):
        gains = 0.4 * random.normal(size=40)[subjects] + random.normal(size=1000)
        gain = measure_gain(gains, subjects)
        means.append(gain.mean)
        errors.append(gain.error)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)
    naive = 1.08 / np.sqrt(1000)
    assert np.mean(errors) > 1.7 * naive


def test_gain_is_clear_beyond_two_errors() -> None:
    subjects = np.arange(100)
    gains = np.random.default_rng(4).normal(size=100)
    centred = (gains - gains.mean()) / gains.std()
    assert measure_gain(centred + 0.21, subjects).is_clear
    assert not measure_gain(centred + 0.19, subjects).is_clear
    assert not measure_gain(np.zeros(100), subjects).is_clear


def test_subjects_are_joined_by_sample_id_and_one_if_unknown() -> None:
    table = make_table()
    np.testing.assert_array_equal(subjects_of([table]), np.zeros(len(table)))
    numbers = np.arange(len(table))
    reversed_table = replace(
        table, sample_ids=table.sample_ids[::-1], labels=table.labels[::-1], subjects=numbers
    )
    np.testing.assert_array_equal(subjects_of([table, reversed_table]), numbers[::-1])


def test_no_clips_are_refused() -> None:
    with pytest.raises(InputError, match="no clips to compare"):
        measure_gain(np.zeros(0), np.zeros(0, dtype=np.int64))
