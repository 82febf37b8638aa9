"""Compare ways to choose fusion weights on val by their top-1 on test, against equal weights.

`constructed` draws score tables with a known truth. `tables` reads files of score_tables.py; with
--rotate every person of val and test is val once, and all other persons are test.

    PYTHONPATH=tests python benchmarks/choices.py constructed --draws 200
    python benchmarks/choices.py tables demo-*.npz --rotate
"""

import argparse
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from common import at_least_one, run, table
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.selection import SelectionConfig, log_probabilities, select_weights
from hhmnet_core.fusion.shrinkage import Choice, ValScores, choose_on, consider
from hhmnet_core.fusion.weight_fitting import fit_temperature, fit_weights
from hhmnet_core.fusion.weight_scoring import WeightScorer

Weights = NDArray[np.float64]
Tables = Sequence[ScoreTable]
SIZES = ((1, 50), (1, 150), (2, 200), (5, 300), (20, 1000), (20, 5000))  # persons, clips of val


def selected(vals: Tables, temperatures: Weights) -> Weights:
    """Return the weights of raw logits that the greedy selection finds."""
    # With eight networks or fewer all bags hold all of them, and are equal.
    config = SelectionConfig(bags=1 if len(vals) <= 8 else 20)
    logs_snk = log_probabilities(vals, temperatures.tolist())
    return select_weights(logs_snk, vals[0].labels, config) / temperatures


def searched(vals: Tables, choice: Choice, evaluations: int) -> Weights:
    """Return the weights of raw logits that a study of Optuna finds."""
    from hhmnet_platform.fusion.search_weights import run_study, start_weights

    weighting = WeightScorer(vals)
    starts, nearest = start_weights(vals, weighting)
    weights, _ = run_study(weighting, starts, nearest, evaluations, seed=1)
    return weights / np.array(weighting.temperatures)


def choosers(vals: Tables, evaluations: int) -> dict[str, Weights]:
    """Return weights (S,) of the raw logits by chooser, on val alone."""
    val = ValScores(vals)
    temperatures = np.array([fit_temperature(each) for each in vals])
    choice = choose_on(val)
    greedy = selected(vals, temperatures)
    weights = {
        "equal": np.ones(len(vals)),
        "equal, calibrated": 1 / temperatures,
        "unshrunk: fitted": fit_weights(vals).weights,
        "unshrunk: ensemble": greedy,
        "fitted": choice.weights,
        "ensemble": consider(val, choice, greedy).weights,
    }
    if evaluations:
        best = searched(vals, choice, evaluations)
        weights |= {
            "unshrunk: searched": best,
            "searched": consider(val, choice, best).weights,
        }
    return weights


def accuracy(tables: Tables, weights: Weights) -> float:
    """Return the top-1 of tables in one order of clips, in percent."""
    fused_nk = sum(w * each.logits for w, each in zip(weights, tables, strict=True))
    return 100 * float((np.asarray(fused_nk).argmax(1) == tables[0].labels).mean())


def compared(vals: Tables, tests: Tables, evaluations: int) -> dict[str, float]:
    """Return the top-1 of equal weights, and each chooser's difference to it."""
    found = choosers(vals, evaluations)
    base = accuracy(tests, found["equal"])
    differences = {name: accuracy(tests, weights) - base for name, weights in found.items()}
    return {**differences, "equal": base, "kept equal": float(_is_equal(found["fitted"]))}


def _is_equal(weights: Weights) -> bool:
    return bool(np.ptp(weights) == 0)


def constructed(draws: int) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Yield each scenario and size with the comparisons of its draws."""
    from constructed_scores import SCENARIOS, constructed_tables

    for scenario, strengths_of in SCENARIOS.items():
        for persons, clips in SIZES:
            rows = []
            for draw in range(draws if clips < 5000 else draws // 4):
                random = np.random.default_rng([draw, persons, clips, len(scenario)])
                strengths = strengths_of(int(random.integers(3, 7)))
                kind = {
                    "spread": float(random.choice([0.2, 0.5])),
                    "shared": float(random.choice([0.2, 0.6])),
                }
                vals = constructed_tables(random, strengths, clips, persons, **kind)
                tests = constructed_tables(random, strengths, 2000, 20, **kind)
                rows.append(compared(vals, tests, 0))
            yield f"{scenario}, {persons} x {clips // persons}", rows


def read_tables(file: str) -> tuple[list[ScoreTable], list[ScoreTable]]:
    """Return the tables of val and test of a file of score_tables.py."""
    if not Path(file).is_file():
        raise InputError(f"There is no file {file}: make it with score_tables.py.")
    read = np.load(file)
    names = tuple(f"class {k}" for k in range(read["val_logits"].shape[2]))

    def split(kind: str) -> list[ScoreTable]:
        ids = tuple(read[f"{kind}_ids"].tolist())
        labels, subjects = read[f"{kind}_labels"], read[f"{kind}_subjects"].astype(np.int64)
        return [
            ScoreTable(ids, labels, x, "run", str(member), "val", "d", names, subjects=subjects)
            for member, x in zip(read["members"], read[f"{kind}_logits"], strict=True)
        ]

    return split("val"), split("test")


def rotations(vals: Tables, tests: Tables) -> Iterator[tuple[list[ScoreTable], list[ScoreTable]]]:
    """Yield tables in which each person in turn is val, and all others are test."""
    both = [
        replace(
            val,
            sample_ids=val.sample_ids + test.sample_ids,
            labels=np.concatenate([val.labels, test.labels]),
            logits=np.concatenate([val.logits, test.logits]),
            subjects=np.concatenate([_subjects(val), _subjects(test)]),
        )
        for val, test in zip(vals, tests, strict=True)
    ]
    for person in np.unique(_subjects(both[0])):
        is_val_n = _subjects(both[0]) == person
        yield _rows(both, is_val_n), _rows(both, ~is_val_n)


def _subjects(one: ScoreTable) -> NDArray[np.int64]:
    assert one.subjects is not None
    return one.subjects


def _rows(tables: Tables, keep_n: NDArray[np.bool_]) -> list[ScoreTable]:
    ids = tuple(np.array(tables[0].sample_ids)[keep_n].tolist())
    return [
        replace(
            each,
            sample_ids=ids,
            labels=each.labels[keep_n],
            logits=each.logits[keep_n],
            subjects=_subjects(each)[keep_n],
        )
        for each in tables
    ]


def from_files(
    files: Sequence[str], rotate: bool, evaluations: int
) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Yield each file with its comparison, or with one per person."""
    for file in files:
        vals, tests = read_tables(file)
        pairs = rotations(vals, tests) if rotate else iter([(vals, tests)])
        name = re.sub(r".*/|\.npz", "", file)
        yield name, [compared(val, test, evaluations) for val, test in pairs]


def summary(values: Sequence[float]) -> str:
    """Return mean and standard error as text."""
    if len(values) == 1:
        return f"{values[0]:+.1f}"
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):+.1f} ± {error:.1f}"


def report(groups: Iterator[tuple[str, list[dict[str, float]]]], total: bool) -> None:
    """Print a row per group, and one over all of them."""
    everything: list[dict[str, float]] = []
    rows: list[list[str]] = []

    def add(name: str, found: Sequence[dict[str, float]]) -> None:
        columns = [key for key in found[0] if key not in ("equal", "kept equal")]
        base = np.mean([each["equal"] for each in found])
        kept = np.mean([each["kept equal"] for each in found])
        cells = [summary([each[key] for each in found]) for key in columns]
        if not rows:
            rows.append(["", "equal", *columns, "kept equal"])
        rows.append([name, f"{base:.1f}", *cells, f"{kept:.0%}"])

    for name, found in groups:
        add(name, found)
        everything += found
        print(" | ".join(rows[-1]), flush=True)
    if total:
        add(f"mean of {len(everything)}", everything)
    print(f"\n{table(rows[0], rows[1:])}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    drawn = commands.add_parser("constructed")
    drawn.add_argument("--draws", type=at_least_one, default=200)
    read = commands.add_parser("tables")
    read.add_argument("files", nargs="+")
    read.add_argument("--rotate", action="store_true", help="each person in turn is val")
    read.add_argument("--evaluations", type=int, default=300, help="of the search; 0: none")
    options = parser.parse_args()
    began = time.perf_counter()
    if options.command == "constructed":
        report(constructed(options.draws), total=False)
    else:
        report(from_files(options.files, options.rotate, options.evaluations), total=True)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    run(main)
