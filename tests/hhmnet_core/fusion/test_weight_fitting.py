"""Fusion weights and temperatures against known optima and a grid search."""

import numpy as np
import pytest
from scipy.special import log_softmax

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.weight_fitting import fit_temperature, fit_weights, log_loss


def table(logits: np.ndarray, labels: np.ndarray, modality: str = "joint") -> ScoreTable:
    ids = tuple(f"c{i:04d}" for i in range(len(labels)))
    names = tuple(str(k) for k in range(logits.shape[1]))
    return ScoreTable(ids, labels, logits.astype(np.float32), "", modality, "val", "d", names)


def drawn(clips: int = 400, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, and labels drawn from their softmax."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (clips, classes))
    shares = np.exp(log_softmax(logits, axis=1))
    return logits, np.array([random.choice(classes, p=row) for row in shares])


def test_log_loss_is_the_mean_negative_log_probability() -> None:
    logits, labels = drawn(20)
    plain = [
        -np.log(np.exp(row[y]) / np.exp(row).sum()) for row, y in zip(logits, labels, strict=True)
    ]
    assert log_loss(logits, labels) == pytest.approx(np.mean(plain))


@pytest.mark.parametrize("temperature", [0.2, 1.0, 7.0])
def test_the_temperature_undoes_a_scaling(temperature: float) -> None:
    logits, labels = drawn(4000)
    exact = fit_temperature(table(logits, labels))
    assert exact == pytest.approx(1.0, rel=0.08)
    scaled = fit_temperature(table(temperature * logits, labels))
    assert scaled == pytest.approx(temperature * exact, rel=1e-3)


def test_weights_are_the_optimum_of_a_fine_grid() -> None:
    logits, labels = drawn()
    random = np.random.default_rng(1)
    noisy = [table(logits + random.normal(0, s, logits.shape), labels) for s in (1.0, 3.0)]
    fitted = fit_weights(noisy)
    losses = {
        (a, b): log_loss(a * noisy[0].logits + b * noisy[1].logits, labels)
        for a in np.linspace(0, 1.2, 61)
        for b in np.linspace(0, 1.2, 61)
    }
    best = min(losses, key=losses.__getitem__)
    assert fitted.log_loss <= losses[best] + 1e-9
    np.testing.assert_allclose(fitted.weights, best, atol=0.02)
    own = log_loss(sum(w * t.logits for w, t in zip(fitted.weights, noisy, strict=True)), labels)
    assert own == pytest.approx(fitted.log_loss, abs=1e-6)


def test_a_table_worse_than_chance_gets_no_weight_beside_a_better_one() -> None:
    logits, labels = drawn()
    fitted = fit_weights([table(logits, labels), table(-logits, labels)])
    assert fitted.weights[0] > 0.5 and fitted.weights[1] == 0


def test_a_table_worse_than_chance_gets_a_positive_weight_alone() -> None:
    logits, labels = drawn()
    fitted = fit_weights([table(-logits, labels)])
    assert fitted.weights[0] > 0 and fitted.log_loss == pytest.approx(np.log(5), abs=1e-6)


def test_weights_do_not_depend_on_the_order_of_clips_and_undo_scales() -> None:
    logits, labels = drawn()
    random = np.random.default_rng(2)
    one, other = (table(logits + random.normal(0, 1, logits.shape), labels) for _ in "ab")
    order = random.permutation(len(labels))
    shuffled = ScoreTable(
        tuple(other.sample_ids[i] for i in order), labels[order], 100 * other.logits[order], "",
        "bone", "val", "d", other.class_names,
    )  # fmt: skip
    plain, mixed = fit_weights([one, other]).weights, fit_weights([one, shuffled]).weights
    np.testing.assert_allclose(mixed, plain * [1, 0.01], rtol=1e-3)


def test_no_tables_and_no_clips_are_refused() -> None:
    with pytest.raises(InputError, match="no score tables"):
        fit_weights([])
    with pytest.raises(InputError, match="val score table of joint has no clips to fit weights"):
        fit_weights([table(np.zeros((0, 3)), np.zeros(0, dtype=np.int64))])
