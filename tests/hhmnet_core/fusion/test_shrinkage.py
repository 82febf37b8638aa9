"""Weights near equal ones: their optimum, their limits, and what they are worth on new persons."""

from dataclasses import replace

import numpy as np
import pytest
from constructed_scores import SCENARIOS, constructed_tables

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.shrinkage import (
    SPREAD,
    ValScores,
    calibrated_equal,
    choose_on,
    choose_weights,
    consider,
    fit_near,
)
from hhmnet_core.fusion.weight_fitting import fit_temperature, fit_weights


def drawn(
    scenario: str = "graded", clips: int = 300, persons: int = 5, networks: int = 3, seed: int = 1
) -> list[ScoreTable]:
    random = np.random.default_rng(seed)
    return constructed_tables(random, SCENARIOS[scenario](networks), clips, persons)


def test_equal_weights_are_calibrated() -> None:
    tables = drawn()
    equal = calibrated_equal(ValScores(tables))
    assert np.ptp(equal) == 0
    # The mean of S networks at a temperature T has weights of sum 1 / T.
    assert 1 / equal.sum() == pytest.approx(fit_temperature(fuse(tables)), rel=1e-3)


def test_more_clips_lead_from_equal_to_fitted_weights() -> None:
    val = ValScores(tables := drawn())
    equal = calibrated_equal(val)
    few, many = fit_near(val, equal, 1e-6), fit_near(val, equal, 1e9)
    np.testing.assert_allclose(few, few.mean(), rtol=1e-4)
    np.testing.assert_allclose(many, fit_weights(tables).weights, rtol=1e-2, atol=1e-3)
    distances = [np.ptp(fit_near(val, equal, n) / equal) for n in (1, 10, 100, 1000)]
    assert distances == sorted(distances)


def test_weights_minimise_loss_and_prior_together() -> None:
    val = ValScores(drawn())
    equal = calibrated_equal(val)
    fitted = fit_near(val, equal, 30.0)

    def objective(weights: np.ndarray) -> float:
        apart = (weights - weights.mean()) / (SPREAD * equal)
        return float(30 * val.losses(weights).mean() + apart @ apart / 2)

    random = np.random.default_rng(0)
    best = objective(fitted)
    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(20):
            moved = np.maximum(0, fitted + size * equal * random.normal(size=3))
            assert objective(moved) >= best - 1e-9


def test_choice_does_not_depend_on_the_order_of_clips() -> None:
    tables = drawn("one strong")
    order = np.random.default_rng(0).permutation(300)
    last = tables[-1]
    assert last.subjects is not None
    shuffled = replace(
        last,
        sample_ids=tuple(last.sample_ids[i] for i in order),
        labels=last.labels[order],
        logits=last.logits[order],
        subjects=last.subjects[order],
    )
    plain, mixed = choose_weights(tables), choose_weights([*tables[:-1], shuffled])
    np.testing.assert_allclose(mixed.weights, plain.weights)


def test_a_common_scale_of_the_logits_changes_no_share() -> None:
    tables = drawn("one strong")
    scaled = [replace(table, logits=100 * table.logits) for table in tables]
    plain, other = choose_weights(tables).weights, choose_weights(scaled).weights
    np.testing.assert_allclose(other / other.sum(), plain / plain.sum(), rtol=1e-3)


def test_a_useless_network_of_many_clips_is_no_member() -> None:
    choice = choose_weights(drawn("one useless", clips=2000, persons=40, networks=5))
    assert choice.basis.chosen == "fitted" and choice.weights[-1] < 0.05 * choice.weights[0]
    assert "fitted weights (" in choice.basis.text


def test_equal_weights_are_named_with_the_numbers() -> None:
    choice = choose_weights(drawn("alike", clips=100, persons=1))
    assert choice.basis.is_equal and np.ptp(choice.weights) == 0
    assert choice.basis.text.startswith("equal weights: the difference is within the noise (")
    assert "100 clips of 1 subject tell as much as 17 independent ones" in choice.basis.text


def test_networks_worse_than_chance_are_weighted_equally() -> None:
    tables = [replace(table, logits=-table.logits) for table in drawn()]
    choice = choose_weights(tables)
    assert choice.basis.is_equal and (choice.weights > 0).all()


def test_one_network_has_all_the_weight() -> None:
    choice = choose_weights(drawn(networks=1))
    assert choice.basis.is_equal and choice.weights.shape == (1,) and choice.weights[0] > 0


def test_proposed_weights_have_to_be_clearly_better() -> None:
    val = ValScores(drawn("one strong", clips=600, persons=30))
    choice = choose_on(val)
    worse = consider(val, choice, np.array([0.0, 1.0, 1.0]))
    assert worse.basis.chosen == choice.basis.chosen
    assert worse.basis.top1_gain and worse.basis.top1_gain.mean < 0
    np.testing.assert_array_equal(worse.weights, choice.weights)
    equal = replace(choice, weights=np.array([0.01, 1.0, 1.0]))
    better = consider(val, equal, np.array([1.0, 0.0, 0.0]))
    assert better.basis.chosen == "proposed" and better.weights[0] == 1


def test_no_clips_are_refused() -> None:
    empty = [
        replace(
            table,
            sample_ids=(),
            labels=table.labels[:0],
            logits=table.logits[:0],
            subjects=np.zeros(0, dtype=np.int64),
        )
        for table in drawn()
    ]
    with pytest.raises(InputError, match="has no clips to choose weights on"):
        choose_weights(empty)


def gains_on_new_persons(scenario: str, persons: int, clips: int, draws: int = 40) -> np.ndarray:
    """Return the gain in test top-1, in points, of chosen over equal weights in each draw."""
    gains = []
    for draw in range(draws):
        random = np.random.default_rng([draw, persons, clips])
        strengths = SCENARIOS[scenario](int(random.integers(3, 7)))
        val = constructed_tables(random, strengths, clips, persons)
        test = constructed_tables(random, strengths, 600, 20)
        weights = choose_weights(val).weights
        gains.append(100 * (top1(fuse(test, weights.tolist())) - top1(fuse(test))))
    return np.array(gains)


@pytest.mark.parametrize(("persons", "clips"), [(1, 60), (2, 150), (20, 300)])
def test_nothing_is_lost_where_networks_are_alike(persons: int, clips: int) -> None:
    """Weights of least log-loss lose 0.5 to 3 points here."""
    gains = gains_on_new_persons("alike", persons, clips)
    assert gains.mean() > -0.5 and (gains == 0).mean() > 0.8


@pytest.mark.parametrize(("scenario", "least"), [("one useless", 4.0), ("one strong", 8.0)])
@pytest.mark.parametrize(("persons", "clips"), [(1, 100), (5, 200)])
def test_weights_are_found_where_they_matter(
    scenario: str, least: float, persons: int, clips: int
) -> None:
    gains = gains_on_new_persons(scenario, persons, clips)
    error = gains.std() / np.sqrt(len(gains))
    assert gains.mean() - 2 * error > least / 2 and gains.mean() > least
