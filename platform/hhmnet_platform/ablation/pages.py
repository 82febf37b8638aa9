"""Content of an ablation's pages in MLflow: its own run, and one below it for each trial."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from hhmnet_core.identity import JsonObject, flattened
from hhmnet_platform.ablation.grid import Subject, Task
from hhmnet_platform.ablation.outcomes import WITHOUT_COPIES, Outcome
from hhmnet_platform.ablation.tables import (
    Pair,
    by_variant,
    knock_out_changes,
    knocked_out,
    mean_and_error,
    paired,
)
from hhmnet_platform.hashing import short_hash
from hhmnet_platform.presentation.labels import markdown
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.child_runs import ChildRun
from hhmnet_platform.tracking.derived_runs import DerivedRun
from hhmnet_platform.tracking.experiments import ablation_experiment
from hhmnet_platform.tracking.tables import Table

DIFFERENCES, KNOCK_OUTS = "differences.json", "knock_outs.json"
ALL_BENCHES = "all benches"
_SCORES = {"top-1": "top1", "log-loss": "log_loss"}  # the outcomes' names, by those of tables


def ablation_run(
    name: str,
    dataset: str,
    subject: Subject[Any],
    identity: JsonObject,
    outcomes: Sequence[Outcome],
    num_trials: int,
    text: str,
) -> DerivedRun:
    """Return the content of an ablation's own run.

    Args:
        name: Name of the ablation.
        dataset: Name of its first data set.
        subject: The phase.
        identity: All that decides its results beside variants, benches and seeds.
        outcomes: Outcomes of the trials that have finished.
        num_trials: Number of trials in all.
        text: Its printed tables.
    """
    tables = {DIFFERENCES: difference_table(subject, outcomes)} if outcomes else {}
    if any(outcome.knock_outs for outcome in outcomes):
        tables[KNOCK_OUTS] = change_table(subject, outcomes)
    return DerivedRun(
        experiment=ablation_experiment(dataset),
        name=name,
        tags={tags.PHASE: "ablation", tags.DATASET: dataset},
        params=flattened(identity),
        metrics={
            "trials": float(len(outcomes)),
            "seconds": sum(outcome.seconds for outcome in outcomes),
        },
        note=f"An ablation of {subject.phase} on {markdown(dataset)}: {len(outcomes)} of "
        f"{num_trials} trials have finished; CPU s is CPU time.\n\n{text}\n",
        files={},
        tables=tables,
    )


def trial_run(subject: Subject[Any], task: Task[Any], outcome: Outcome) -> ChildRun:
    """Return the content of a finished trial's run."""
    place = {"variant": task.variant, "bench": task.bench, "seed": task.config.seed}
    decisive = {"config": outcome.config, "digest": outcome.digest}
    return ChildRun(
        key=short_hash(place | decisive),
        name=task.label,
        tags={tags.DATA_DIGEST: outcome.digest},
        params=place | dict(subject.variants[task.variant]),
        metrics=_trial_metrics(outcome, subject.compared),
        seconds=outcome.seconds,
    )


def difference_table(subject: Subject[Any], outcomes: Sequence[Outcome]) -> Table:
    """Return the mean of each score, and of its paired differences to the reference.

    There are rows for all benches together and, of several, for each. A difference without pairs,
    and the standard error of a single pair, is None.
    """
    benches = list(dict.fromkeys(outcome.bench for outcome in outcomes))
    by_bench = {ALL_BENCHES: list(outcomes)}
    if len(benches) > 1:
        by_bench |= {name: [o for o in outcomes if o.bench == name] for name in benches}
    rows: list[JsonObject] = []
    for bench, found in by_bench.items():
        variants = by_variant(subject, found)
        reference = variants.get(subject.reference, {})
        for name, runs in variants.items():
            others = {} if name == subject.reference else reference
            rows += [{"variant": name, "bench": bench} | row for row in _score_rows(runs, others)]
    return _columns(rows)


def change_table(subject: Subject[Any], outcomes: Sequence[Outcome]) -> Table:
    """Return the mean change of each score by each knock-out, with its standard error."""
    rows: list[JsonObject] = [
        {"variant": name, "knocked out": part, "member": member, "score": score}
        | _named_mean(knock_out_changes(runs, part, attribute, member), "runs", "change")
        for name, part, runs in knocked_out(subject, outcomes)
        for member in runs[0].log_loss
        for score, attribute in _SCORES.items()
    ]
    return _columns(rows)


def _score_rows(
    runs: Mapping[Pair, Outcome], reference: Mapping[Pair, Outcome]
) -> list[JsonObject]:
    """Return the mean of each score of each member, and of its paired differences."""
    rows: list[JsonObject] = []
    for score, attribute in _SCORES.items():
        by_member: dict[str, list[float]] = {}
        for run in runs.values():
            for member, value in getattr(run, attribute).items():
                by_member.setdefault(member, []).append(value)
        rows += [
            {"member": member, "score": score, "mean": statistics.fmean(values)}
            | _named_mean(paired(runs, reference, attribute, member), "pairs", "difference")
            for member, values in by_member.items()
        ]
    return rows


def _named_mean(values: Sequence[float], number: str, title: str) -> JsonObject:
    mean, error = mean_and_error(values) if values else (math.nan, math.nan)
    named = {title: mean, "standard error": error}
    return {number: len(values)} | {
        name: None if math.isnan(value) else value for name, value in named.items()
    }


def _columns(rows: Sequence[Mapping[str, object]]) -> Table:
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _trial_metrics(outcome: Outcome, compared: str) -> dict[str, float]:
    """Return the scores of each member by the names of MLflow, and those compared as of a run."""
    metrics = {"seconds": outcome.seconds}
    for attribute, name in (("top1", "top1"), ("log_loss", "loss")):
        for member, value in getattr(outcome, attribute).items():
            network = member.removesuffix(WITHOUT_COPIES)
            figure = name if network == member else f"{name}_without_copies"
            metrics[f"{network}/{outcome.split}_{figure}"] = value
            if network == compared:
                metrics[f"{outcome.split}/{figure}"] = value
    return metrics
