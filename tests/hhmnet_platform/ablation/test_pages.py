"""Pages of an ablation in MLflow: names of metrics, and tables as NumPy computes them."""

from dataclasses import replace

import numpy as np
import pytest

from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.grid import Bench, plan_runs
from hhmnet_platform.ablation.outcomes import Outcome, Scores
from hhmnet_platform.ablation.pages import (
    ALL_BENCHES,
    DIFFERENCES,
    KNOCK_OUTS,
    ablation_run,
    change_table,
    difference_table,
    trial_run,
)
from hhmnet_platform.ablation.variants import Phase1Training, phase1_ablation
from hhmnet_platform.tracking import tags

VARIANTS = {"today": {}, "a": {"model.mask": False}}
SUBJECT = phase1_ablation(Phase1Config(), VARIANTS, "today", Phase1Training(("joint",)))


def outcomes(top1: np.ndarray, loss: np.ndarray) -> list[Outcome]:
    """Return an outcome of each variant, bench and seed."""
    return [
        Outcome(
            variant, seed, {}, "d", {"joint": float(top1[v, b, seed])},
            {"joint": float(loss[v, b, seed])}, bench, ["joint"], seconds=2.0,
        )
        for v, variant in enumerate(VARIANTS)
        for b, bench in enumerate(("one", "two"))
        for seed in range(4)
    ]  # fmt: skip


def test_differences_and_their_errors_are_those_of_numpy() -> None:
    random = np.random.default_rng(1)
    top1, loss = random.uniform(0.2, 0.9, (2, 2, 4)), random.uniform(0.5, 2, (2, 2, 4))
    table = difference_table(SUBJECT, outcomes(top1, loss))
    rows = {row[:4]: row[4:] for row in zip(*table.values(), strict=True)}
    assert len(rows) == 2 * 3 * 2
    for score, values in (("top-1", top1), ("log-loss", loss)):
        for bench, part in ((ALL_BENCHES, values), ("one", values[:, :1]), ("two", values[:, 1:])):
            difference = (part[1] - part[0]).ravel()
            expected = difference.mean(), difference.std(ddof=1) / difference.size**0.5
            mean, pairs, *found = rows["a", bench, "joint", score]
            assert (mean, pairs) == (pytest.approx(part[1].mean()), difference.size)
            assert found == pytest.approx(expected, abs=1e-12)
            assert rows["today", bench, "joint", score] == (
                pytest.approx(part[0].mean()), 0, None, None,
            )  # fmt: skip


def test_a_single_pair_has_no_standard_error() -> None:
    shares = {"today": 0.5, "a": 1.0}
    pair = [Outcome(name, 1, {}, "", {"joint": share}) for name, share in shares.items()]
    table = difference_table(SUBJECT, pair)
    assert (table["pairs"][-1], table["difference"][-1]) == (1, 0.5)
    assert table["standard error"] == [None, None]
    assert {*table["bench"]} == {ALL_BENCHES}  # of a single bench, no rows of its own


def test_changes_of_knock_outs_are_averaged_over_runs() -> None:
    runs = [Outcome("a", seed, {}, "", {"joint": 0.75}, {"joint": 1.0}) for seed in (1, 2)]
    for run, loss in zip(runs, (1.1, 1.3), strict=True):
        run.knock_outs["mask off"] = Scores({"joint": 0.5}, {"joint": loss})
    table = change_table(SUBJECT, runs)
    assert table["score"] == ["top-1", "log-loss"] and table["runs"] == [2, 2]
    assert table["change"] == pytest.approx([-0.25, 0.2])
    assert table["standard error"] == pytest.approx([0.0, 0.1])


def test_trial_has_what_its_variant_changes_and_the_scores_of_each_network() -> None:
    (task,) = plan_runs(SUBJECT, [Bench("one", Phase1Config(), [7])], ["a"])
    outcome = Outcome(
        "a", 7, {"seed": 7}, "d", {"joint": 0.5, "joint without copies": 0.25}, {"joint": 1.5},
        "one", ["joint"], "val", 2.0,
    )  # fmt: skip
    child = trial_run(SUBJECT, task, outcome)
    assert child.name == "a, one, seed 7"
    assert child.params == {"variant": "a", "bench": "one", "seed": 7, "model.mask": False}
    assert child.metrics == {
        "seconds": 2.0,
        "joint/val_top1": 0.5, "val/top1": 0.5,
        "joint/val_top1_without_copies": 0.25, "val/top1_without_copies": 0.25,
        "joint/val_loss": 1.5, "val/loss": 1.5,
    }  # fmt: skip
    assert child.key == trial_run(SUBJECT, task, replace(outcome, seconds=3.0)).key
    for other in (replace(outcome, digest="e"), replace(outcome, config={"seed": 8})):
        assert trial_run(SUBJECT, task, other).key != child.key


def test_ablation_has_its_tables_and_their_text() -> None:
    known = outcomes(np.full((2, 2, 4), 0.5), np.ones((2, 2, 4)))
    identity = {"phase": "phase1", "optim": {"epochs": 3}}
    run = ablation_run("mine", "ucla", SUBJECT, identity, known, 20, "| a table |")
    assert (run.experiment, run.tags[tags.PHASE]) == ("ucla/ablations", "ablation")
    assert run.params == {"phase": "phase1", "optim.epochs": 3}
    assert run.metrics == {"trials": 16, "seconds": 32}
    assert "16 of 20 trials have finished" in run.note and run.note.endswith("| a table |\n")
    assert {*run.tables} == {DIFFERENCES}
    known[0].knock_outs["mask off"] = Scores({"joint": 0.5}, {"joint": 1.0})
    assert {*ablation_run("mine", "ucla", SUBJECT, {}, known, 16, "").tables} == {
        DIFFERENCES, KNOCK_OUTS,
    }  # fmt: skip
    assert not ablation_run("mine", "ucla", SUBJECT, {}, [], 16, "").tables
