"""Tables: differences are paired by bench and seed, and a threshold decides."""

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.outcomes import Outcome, Scores
from hhmnet_platform.ablation.tables import (
    Threshold,
    decisions,
    knock_out_table,
    mean_and_error,
    paired,
    summary,
)
from hhmnet_platform.ablation.variants import Phase1Training, phase1_ablation

VARIANTS = {"today": {}, "a": {"model.mask": False}, "b": {"model.rerank": False}}
SUBJECT = phase1_ablation(Phase1Config(), VARIANTS, "today", Phase1Training(("joint",)))


def outcome(variant: str, bench: str, seed: int, top1: float, loss: float) -> Outcome:
    return Outcome(
        variant, seed, {}, "", {"joint": top1}, {"joint": loss}, bench, ["joint"], seconds=10.0
    )


def runs(variant: str, losses: np.ndarray) -> list[Outcome]:
    """Return an outcome of each bench (row) and seed (column)."""
    return [
        outcome(variant, bench, seed, 1 - loss / 2, loss)
        for bench, row in zip(("one", "two"), losses.tolist(), strict=True)
        for seed, loss in enumerate(row, start=1)
    ]


def test_paired_difference_and_its_error_are_those_of_numpy() -> None:
    random = np.random.default_rng(2)
    today = random.uniform(0.5, 1, (2, 8))
    changed = today + random.normal(-0.03, 0.02, (2, 8))
    outcomes = [*runs("today", today), *reversed(runs("a", changed))]
    difference = (changed - today).ravel()
    mean, error = difference.mean(), difference.std(ddof=1) / 4
    reference = {(o.bench, o.seed): o for o in outcomes if o.variant == "today"}
    others = {(o.bench, o.seed): o for o in outcomes if o.variant == "a"}
    losses = paired(others, reference, "log_loss", "joint")
    assert mean_and_error(losses) == pytest.approx((mean, error), abs=1e-12)
    lines = decisions(SUBJECT, outcomes, Threshold()).splitlines()
    assert lines[2:4] == [
        "| variant | pairs | top-1 | log-loss one | log-loss two | CPU s | log-loss difference | "
        "top-1 difference | verdict |",
        "|---" * 9 + "|",
    ]
    assert lines[5] == (
        f"| a | 16 | {100 * (1 - changed.mean() / 2):.1f} | {changed[0].mean():.3f} | "
        f"{changed[1].mean():.3f} | 10 | {mean:+.3f} ± {error:.3f} | "
        f"{-50 * mean:+.1f} ± {50 * error:.1f} | better |"
    )
    assert lines[4].endswith("|  |  | reference |")


def test_pairs_that_the_reference_lacks_do_not_count() -> None:
    outcomes = [
        outcome("today", "one", 1, 0.5, 1.0),
        outcome("a", "one", 2, 0.5, 3.0),
        outcome("a", "two", 1, 0.5, 3.0),
        outcome("a", "one", 1, 0.5, 1.5),
    ]
    line = decisions(SUBJECT, outcomes, Threshold()).splitlines()[-1]
    assert line.startswith("| a | 1 | ") and line.endswith(
        "| +0.500 ± - | +0.0 ± - | undecided: 1 of 16 pairs |"
    )


def test_summary_has_each_bench_and_the_differences_over_all() -> None:
    losses = np.array([[1.0, 0.8], [0.6, 0.4]])
    added = np.array([[0.1, 0.3], [0.0, 0.2]])
    outcomes = [*runs("today", losses), *runs("a", losses + added)]
    outcomes.append(outcome("b", "one", 3, 0.9, 0.5))  # no seed of its own in the reference
    lines = summary(SUBJECT, outcomes).splitlines()
    assert lines[:5] == [
        "one:",
        "",
        "| variant | seeds | joint |",
        "|---|---|---|",
        "| today | 2 | 55.0 (50.0 to 60.0) |",
    ]
    at = lines.index("joint, paired differences to 'today':")
    error = added.std(ddof=1) / 2
    assert lines[at + 2 :] == [
        "| variant | pairs | top-1 | log-loss one | log-loss two | CPU s | log-loss difference | "
        "top-1 difference |",
        "|---" * 8 + "|",
        "| today | 4 | 65.0 | 0.900 | 0.500 | 10 |  |  |",
        f"| a | 4 | 57.5 | 1.100 | 0.600 | 10 | +0.150 ± {error:.3f} | -7.5 ± {50 * error:.1f} |",
        "| b | 0 | 90.0 | 0.500 | - | 10 | - | - |",
    ]


def test_outcomes_of_an_earlier_version_have_no_log_loss() -> None:
    places = [(name, seed) for name in ("today", "a") for seed in (1, 2)]
    old = [Outcome(name, seed, {}, "", {"joint": 0.5}) for name, seed in places]
    assert summary(SUBJECT, old).splitlines()[-1] == "| a | 2 | 50.0 | - | 0 | - | +0.0 ± 0.0 |"


def test_figure_that_some_runs_lack_has_no_column() -> None:
    novel = "joint without copies"
    knows, other = outcome("a", "", 1, 0.8, 1.0), outcome("a", "", 2, 0.6, 1.0)
    knows.top1[novel] = 0.7
    assert f"| joint | {novel} |" in summary(SUBJECT, [knows])
    for order in ([knows, other], [other, knows]):  # a file may hold runs of before
        assert novel not in summary(SUBJECT, order)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([-0.1, -0.2] * 8, "better"),
        ([0.1, 0.2] * 8, "worse"),
        ([0.1, -0.2] * 8, "no difference beyond 2 standard errors"),
        ([0.0] * 16, "no difference beyond 2 standard errors"),
        ([-0.1] * 15, "undecided: 15 of 16 pairs"),
        ([], "undecided: 0 of 16 pairs"),
    ],
)
def test_verdict(differences: list[float], verdict: str) -> None:
    assert Threshold().verdict(differences) == verdict


@pytest.mark.parametrize("values", [{"errors": -1}, {"pairs": 1}])
def test_threshold_that_decides_nothing_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"threshold\."):
        Threshold(**values)


def test_knock_outs_are_averaged_over_runs() -> None:
    outcomes = [outcome("today", "one", seed, 0.75, 1.0) for seed in (1, 2)]
    for run, loss in zip(outcomes, (1.1, 1.3), strict=True):
        run.knock_outs["mask off"] = Scores({"joint": 0.5}, {"joint": loss})
    assert knock_out_table(SUBJECT, outcomes).splitlines() == [
        "| variant | knocked out | runs | log-loss joint | top-1 joint |",
        "|---|---|---|---|---|",
        "| today | mask off | 2 | +0.200 ± 0.100 | -25.0 ± 0.0 |",
    ]
