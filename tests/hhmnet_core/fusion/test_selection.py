"""Ensemble selection against a plain loop."""

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.selection import SelectionConfig, log_probabilities, select_weights


def library(
    models: int, clips: int = 60, classes: int = 4, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, clips)
    logits = random.normal(size=(models, clips, classes))
    logits[:, np.arange(clips), labels] += random.uniform(0, 2, (models, 1))
    logs = np.exp(logits)
    return np.log(logs / logs.sum(2, keepdims=True)), labels


def reference(logs: np.ndarray, labels: np.ndarray, steps: int, initial: int) -> np.ndarray:
    """Select as in Caruana et al., with a list of models for an ensemble."""

    def quality(members: list[int]) -> tuple[float, float]:
        mean = sum(logs[m] for m in members) / len(members)
        rows = list(zip(mean, labels, strict=True))
        right = np.mean([row.argmax() == y for row, y in rows])
        return float(right), float(np.mean([row[y] - np.log(np.exp(row).sum()) for row, y in rows]))

    models = range(len(logs))
    ensemble = sorted(models, key=lambda m: (-quality([m])[0], -quality([m])[1], m))[:initial]
    best = list(ensemble)
    for _ in range(steps):
        ensemble = max(([*ensemble, m] for m in models), key=lambda e: (*quality(e), -e[-1]))
        if quality(ensemble) > quality(best):
            best = list(ensemble)
    return np.bincount(best, minlength=len(logs)) / len(best)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("initial", [1, 3])
def test_selection_equals_the_plain_loop(seed: int, initial: int) -> None:
    logs, labels = library(6, seed=seed)
    config = SelectionConfig(steps=7, initial=initial, bags=1, bag_share=1.0)
    expected = reference(logs, labels, 7, initial)
    np.testing.assert_allclose(select_weights(logs, labels, config), expected, atol=1e-12)


def test_bags_are_the_mean_of_their_selections_and_seeded() -> None:
    logs, labels = library(18)
    config = SelectionConfig(steps=5, bags=6, bag_share=0.5, seed=3)
    weights = select_weights(logs, labels, config)
    random = np.random.default_rng(3)
    expected = np.zeros(18)
    for _ in range(6):
        bag = np.sort(random.choice(18, 9, replace=False))
        expected[bag] += reference(logs[bag], labels, 5, 1) / 6
    np.testing.assert_allclose(weights, expected, atol=1e-12)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_array_equal(weights, select_weights(logs, labels, config))


def test_a_small_library_has_no_bags() -> None:
    logs, labels = library(5)
    bagged = select_weights(logs, labels, SelectionConfig(steps=5, bags=6, bag_share=0.5))
    np.testing.assert_allclose(bagged, reference(logs, labels, 5, 1), atol=1e-12)


def test_ensemble_is_at_least_as_good_as_the_best_single_one() -> None:
    logs, labels = library(8, clips=300)
    weights = select_weights(logs, labels, SelectionConfig(bags=1, bag_share=1.0))
    right = lambda p: (p.argmax(-1) == labels).mean(-1)  # noqa: E731
    assert right(np.tensordot(weights, logs, 1)) >= right(logs).max()


def test_log_probabilities_are_calibrated_and_joined_by_sample_id() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    labels, names = np.array([0, 1, 0]), ("x", "y")
    one = ScoreTable(("a", "b", "c"), labels, logits, "", "joint", "val", "d", names)
    other = ScoreTable(("c", "a", "b"), labels[[2, 0, 1]], logits[[2, 0, 1]], "", "bone", "val",
                       "d", names)  # fmt: skip
    first, second = log_probabilities([one, other], [1.0, 2.0])
    np.testing.assert_allclose(
        np.exp(first), np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-6
    )
    half = np.exp(logits.astype(np.float64) / 2)
    np.testing.assert_allclose(np.exp(second), half / half.sum(1, keepdims=True))
    with pytest.raises(InputError, match="2 tables need as many temperatures above 0"):
        log_probabilities([one, other], [1.0])


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"initial": 0}, {"bags": 0}, {"bag_share": 0.0}, {"bag_share": 1.5}]
)
def test_bad_settings_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(bad))):
        SelectionConfig(**bad)


def test_an_empty_library_is_refused() -> None:
    with pytest.raises(InputError, match="0 models and 5 clips"):
        select_weights(np.zeros((0, 5, 2)), np.zeros(5, dtype=np.int64), SelectionConfig())
