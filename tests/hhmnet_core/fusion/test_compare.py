"""Comparisons against closed forms and plain loops."""

from math import comb

import numpy as np
import pytest

from hhmnet_core.fusion.compare import (
    bootstrap_interval,
    disagreement,
    mcnemar,
    most_frequent_confusions,
    reliability,
)


def test_the_interval_is_that_of_resampled_clips() -> None:
    right = np.random.default_rng(0).random(400) < 0.8
    random = np.random.default_rng(1)
    plain = [right[random.integers(0, 400, 400)].mean() for _ in range(4000)]
    np.testing.assert_allclose(
        bootstrap_interval(right), np.quantile(plain, [0.025, 0.975]), atol=0.006
    )
    assert bootstrap_interval(np.ones(10, bool)) == (1.0, 1.0)
    narrow, wide = (np.diff(bootstrap_interval(right, level=level)) for level in (0.5, 0.99))
    assert narrow < wide


def test_mcnemar_is_the_exact_binomial_test() -> None:
    first = np.array([True] * 9 + [False] * 2 + [True] * 50)
    second = np.array([False] * 9 + [True] * 2 + [True] * 50)
    paired = mcnemar(first, second)
    assert (paired.gained, paired.lost) == (9, 2)
    tail = sum(comb(11, k) for k in (0, 1, 2, 9, 10, 11)) / 2**11
    assert paired.p_value == pytest.approx(tail)
    assert mcnemar(first, first).p_value == 1.0


def test_disagreement_is_the_share_of_different_predictions() -> None:
    predictions = np.array([[0, 1, 2, 2], [0, 1, 1, 0], [0, 1, 2, 2]])
    np.testing.assert_allclose(disagreement(predictions), [[0, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0]])


def test_reliability_is_the_binned_gap() -> None:
    random = np.random.default_rng(2)
    shares = random.dirichlet(np.ones(4), 500)
    labels = random.integers(0, 4, 500)
    binned = reliability(shares, labels, bins=5)
    gap = 0.0
    for at in range(5):
        rows = [n for n in range(500) if at == min(int(shares[n].max() * 5), 4)]
        assert binned.clips[at] == len(rows)
        if rows:
            confidence = np.mean([shares[n].max() for n in rows])
            accuracy = np.mean([shares[n].argmax() == labels[n] for n in rows])
            assert binned.confidence[at] == pytest.approx(confidence)
            assert binned.accuracy[at] == pytest.approx(accuracy)
            gap += abs(confidence - accuracy) * len(rows) / 500
    assert binned.error == pytest.approx(gap)


def test_the_most_frequent_confusions_come_first_and_correct_ones_never() -> None:
    counts = np.array([[8, 2, 0], [1, 9, 0], [3, 0, 7]])
    assert most_frequent_confusions(counts, ("a", "b", "c")) == [
        ("c", "a", 3, 0.3), ("a", "b", 2, 0.2), ("b", "a", 1, 0.1),
    ]  # fmt: skip
    assert most_frequent_confusions(counts, ("a", "b", "c"), limit=1) == [("c", "a", 3, 0.3)]
