"""Markdown tables of an ablation: plain, with decisions, and of knock-outs.

A pair is a bench and a seed: differences to the reference are taken within pairs.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hhmnet_core.checks.bounds import check_bounds
from hhmnet_platform.ablation.grid import Subject
from hhmnet_platform.ablation.outcomes import Outcome

Pair = tuple[str, int]
_MISSING = "-"


@dataclass(frozen=True)
class Threshold:
    """The difference in log-loss that decides, fixed before anything is trained.

    Attributes:
        errors: Number of standard errors that a difference must exceed.
        pairs: Least number of pairs.
    """

    errors: float = 2.0
    pairs: int = 16

    def __post_init__(self) -> None:
        check_bounds(self, "threshold.", errors=(0, 100), pairs=(2, 100_000))

    def verdict(self, differences: Sequence[float]) -> str:
        """Return the verdict on a variant by its paired differences in log-loss."""
        if len(differences) < self.pairs:
            return f"undecided: {len(differences)} of {self.pairs} pairs"
        mean, error = mean_and_error(differences)
        if abs(mean) <= self.errors * error:
            return f"no difference beyond {self.errors:g} standard errors"
        return "better" if mean < 0 else "worse"


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error, which is NaN for a single value."""
    if len(values) < 2:
        return statistics.fmean(values), math.nan
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5


def paired(
    runs: Mapping[Pair, Outcome], reference: Mapping[Pair, Outcome], score: str, member: str
) -> list[float]:
    """Return the differences of a variant to the reference, one for each pair that both have.

    Args:
        runs: Outcomes of the variant by pair.
        reference: Outcomes of the reference by pair.
        score: "top1" or "log_loss". An outcome of an earlier version may lack the second.
        member: Member that is compared.
    """
    return [
        getattr(run, score)[member] - getattr(reference[pair], score)[member]
        for pair, run in runs.items()
        if pair in reference
        and member in getattr(run, score)
        and member in getattr(reference[pair], score)
    ]


def summary(subject: Subject[Any], outcomes: Sequence[Outcome]) -> str:
    """Return the tables of an ablation without a threshold.

    They are top-1 on each bench, mean and range over seeds, and the paired differences over all
    benches.
    """
    names = list(dict.fromkeys(outcome.bench for outcome in outcomes))
    tables = {
        name: _summary_of_bench(subject, [o for o in outcomes if o.bench == name]) for name in names
    }
    tables[f"{subject.compared}, paired differences to {subject.reference!r}"] = _compare(
        subject, outcomes, subject.compared, None
    )
    return "\n\n".join(f"{name}:\n\n{table}" if name else table for name, table in tables.items())


def _summary_of_bench(subject: Subject[Any], outcomes: Sequence[Outcome]) -> str:
    columns = [each for each in outcomes[0].top1 if all(each in o.top1 for o in outcomes)]
    lines = _head(["variant", "seeds", *columns])
    for name, runs in by_variant(subject, outcomes).items():
        cells = [_mean_and_range([run.top1[column] for run in runs.values()]) for column in columns]
        lines.append(_row([name, str(len(runs)), *cells]))
    return "\n".join(lines)


def decisions(subject: Subject[Any], outcomes: Sequence[Outcome], threshold: Threshold) -> str:
    """Return the table by which a bench decides, and one without verdicts for each modality."""
    members = list(outcomes[0].log_loss)
    table = _compare(subject, outcomes, subject.compared, threshold)
    others = [member for member in members if member != subject.compared]
    more = [f"{name}:\n\n{_compare(subject, outcomes, name, None)}" for name in others]
    return "\n\n".join([f"{subject.compared}:\n\n{table}", *more])


def _compare(
    subject: Subject[Any], outcomes: Sequence[Outcome], member: str, threshold: Threshold | None
) -> str:
    benches = sorted({outcome.bench for outcome in outcomes})
    variants = by_variant(subject, outcomes)
    reference = variants.get(subject.reference, {})
    columns = [
        "variant", "pairs", "top-1", *(f"log-loss {bench}".rstrip() for bench in benches),
        "CPU s", "log-loss difference", "top-1 difference",
    ]  # fmt: skip
    lines = _head([*columns, "verdict"] if threshold else columns)
    for name, runs in variants.items():
        is_reference = name == subject.reference
        losses = paired(runs, reference, "log_loss", member)
        shares = paired(runs, reference, "top1", member)
        cells = [
            name,
            str(len(shares)),
            f"{100 * statistics.fmean(run.top1[member] for run in runs.values()):.1f}",
            *(_mean_loss(runs, bench, member) for bench in benches),
            f"{statistics.fmean(run.seconds for run in runs.values()):.0f}",
            "" if is_reference else _nats(losses),
            "" if is_reference else _percent(shares),
        ]
        if threshold:
            cells.append("reference" if is_reference else threshold.verdict(losses))
        lines.append(_row(cells))
    return "\n".join(lines)


def knock_out_table(subject: Subject[Any], outcomes: Sequence[Outcome]) -> str:
    """Return the mean change of each knock-out over runs, with its standard error."""
    members = list(outcomes[0].log_loss)
    lines = _head(
        [
            "variant", "knocked out", "runs", *(f"log-loss {name}" for name in members),
            f"top-1 {subject.compared}",
        ]
    )  # fmt: skip
    for name, part, runs in knocked_out(subject, outcomes):
        losses = [knock_out_changes(runs, part, "log_loss", member) for member in members]
        accuracies = knock_out_changes(runs, part, "top1", subject.compared)
        cells = [name, part, str(len(runs)), *map(_nats, losses), _percent(accuracies)]
        lines.append(_row(cells))
    return "\n".join(lines)


def knock_out_changes(runs: Sequence[Outcome], part: str, score: str, member: str) -> list[float]:
    """Return how much each run's score changes without a part of its encoders."""
    return [
        getattr(run.knock_outs[part], score)[member] - getattr(run, score)[member] for run in runs
    ]


def knocked_out(
    subject: Subject[Any], outcomes: Sequence[Outcome]
) -> list[tuple[str, str, list[Outcome]]]:
    """Return each variant and part with the runs that were scored without the part."""
    return [
        (name, part, [run for run in runs.values() if part in run.knock_outs])
        for name, runs in by_variant(subject, outcomes).items()
        for part in dict.fromkeys(part for run in runs.values() for part in run.knock_outs)
    ]


def by_variant(
    subject: Subject[Any], outcomes: Sequence[Outcome]
) -> dict[str, dict[Pair, Outcome]]:
    """Return the outcomes of each variant that has any, by bench and seed."""
    found = {
        name: {(o.bench, o.seed): o for o in outcomes if o.variant == name}
        for name in subject.variants
    }
    return {name: runs for name, runs in found.items() if runs}


def _mean_loss(runs: Mapping[Pair, Outcome], bench: str, member: str) -> str:
    losses = [
        run.log_loss[member]
        for run in runs.values()
        if run.bench == bench and member in run.log_loss
    ]
    return f"{statistics.fmean(losses):.3f}" if losses else _MISSING


def _head(columns: Sequence[str]) -> list[str]:
    return [_row(columns), "|---" * len(columns) + "|"]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _mean_and_range(shares: Sequence[float]) -> str:
    low, mean, high = min(shares), statistics.fmean(shares), max(shares)
    return f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _percent(differences: Sequence[float]) -> str:
    return _with_error([100 * each for each in differences], 1)


def _nats(differences: Sequence[float]) -> str:
    return _with_error(differences, 3)


def _with_error(values: Sequence[float], digits: int) -> str:
    if not values:
        return _MISSING
    mean, error = mean_and_error(values)
    return f"{mean:+.{digits}f} ± {_MISSING if math.isnan(error) else f'{error:.{digits}f}'}"
