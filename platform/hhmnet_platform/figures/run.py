"""Figures of one run, and the table of its result."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

from hhmnet_core.fusion.metrics import count_confusions, per_class_accuracy, top1
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.members import ALL, COLOURS, FUSION
from hhmnet_platform.presentation.drawing import Drawing, short_name
from hhmnet_platform.presentation.labels import (
    WITHOUT_COPIES_HEADING,
    copies_note,
    not_filmed_note,
    percent,
)
from hhmnet_platform.storage.results import FittedFusion, MemberResult, RunResult

MAX_LABELLED_CLASSES = 30  # with more, cells are too small for numbers and labels shrink


def series(
    history: Sequence[EpochRecord], member: str, metric: str
) -> tuple[list[int], list[float]]:
    """Return the epochs in which a metric was measured, and its values."""
    pairs = [
        (record.epoch, record.metrics[member][metric])
        for record in history
        if metric in record.metrics.get(member, {})
    ]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def learning_curves(history: Sequence[EpochRecord], member: str) -> Figure:
    """Draw loss and top-1 of one network over the epochs, on train and val."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(1, 2)
    for axis, metric, name in zip(axes, ("loss", "top1"), ("loss", "top-1"), strict=True):
        for split, style in (("train", "--"), ("val", "-")):
            epochs, values = series(history, member, f"{split}/{metric}")
            if epochs:
                axis.plot(epochs, values, style, color=COLOURS[member], label=split)
        axis.set(xlabel="epoch", ylabel=name)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[1].set_ylim(0, 1)
    figure.suptitle(f"{member}: learning curves")
    return figure


def compared_curves(history: Sequence[EpochRecord]) -> Figure:
    """Draw top-1 of all members over the epochs: on val, or on train for a run without val."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axis: Axes = figure.subplots()
    split = "val" if any(series(history, member, "val/top1")[0] for member in ALL) else "train"
    for member in ALL:
        epochs, values = series(history, member, f"{split}/top1")
        if epochs:
            axis.plot(epochs, values, color=COLOURS[member], label=f"{member} ({values[-1]:.1%})")
    axis.set(xlabel="epoch", ylabel=f"{split} top-1", ylim=(0, 1), title="Modalities compared")
    axis.grid(alpha=0.3)
    axis.legend(title="last epoch")
    return figure


def confusion_matrix(table: ScoreTable) -> Figure:
    """Draw the confusion matrix, in per cent of each true class.

    Classes without clips have an empty row. The figure grows with the number of classes: names stay
    readable from 10 to 120.
    """
    counts = count_confusions(table)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(100.0 * counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    num_classes = len(table.class_names)
    side = max(6.0, 0.16 * num_classes + 4.0)
    figure = Figure(figsize=(side, side), layout="constrained")
    axis: Axes = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    size = 9 if num_classes <= MAX_LABELLED_CLASSES else 6
    names = [short_name(name) for name in table.class_names]
    axis.set_xticks(range(num_classes), names, rotation=90, fontsize=size)
    axis.set_yticks(range(num_classes), names, fontsize=size)
    if num_classes <= MAX_LABELLED_CLASSES:
        for row, column in zip(*np.nonzero(shares >= 0.5), strict=True):
            share = shares[row, column]
            colour = "white" if share > 50 else "black"
            axis.text(
                column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=colour
            )
    figure.colorbar(image, shrink=0.6, label="% of the true class")
    axis.set(xlabel="predicted", ylabel="true")
    axis.set_title(f"{table.modality}, {table.split}: top-1 {top1(table):.1%}")
    return figure


def class_accuracy(table: ScoreTable) -> Figure:
    """Draw the accuracy of each class as bars, the lowest on top, classes without clips last."""
    accuracies = per_class_accuracy(table)
    order = np.argsort(np.where(np.isnan(accuracies), 2.0, accuracies), kind="stable")
    names = [short_name(table.class_names[i]) for i in order]
    figure = Figure(figsize=(7, max(3.0, 0.18 * len(names) + 1.2)), layout="constrained")
    axis: Axes = figure.subplots()
    axis.barh(range(len(names)), np.nan_to_num(accuracies[order]), color=COLOURS[table.modality])
    axis.set_yticks(
        range(len(names)), names, fontsize=9 if len(names) <= MAX_LABELLED_CLASSES else 7
    )
    axis.invert_yaxis()
    axis.axvline(top1(table), color="grey", linestyle=":", label=f"all clips {top1(table):.1%}")
    axis.set(xlim=(0, 1), xlabel="accuracy", title=f"{table.modality}, {table.split}: by class")
    axis.legend(loc="lower right")
    return figure


def drawings_of(
    member: str, history: Sequence[EpochRecord], table: ScoreTable | None
) -> dict[str, Drawing]:
    """Return the figures of a network, or of the whole run for the fusion, as functions.

    Args:
        member: Name of the network, or "fusion".
        history: Records of all epochs.
        table: Scores of the member. None draws the curves only.

    Returns:
        Functions that draw, by file name.
    """
    drawings: dict[str, Drawing] = {
        "curves.png": lambda: (
            compared_curves(history) if member == FUSION else learning_curves(history, member)
        )
    }
    if table is not None:
        drawings[f"confusion-{table.split}.png"] = lambda: confusion_matrix(table)
        drawings[f"classes-{table.split}.png"] = lambda: class_accuracy(table)
    return drawings


def result_table(result: RunResult) -> Table:
    """Return the result of a run as a table for the terminal, a row per member.

    Columns: epoch, top-1 on val (with selection "val" only), top-1 on test, and top-1 on test
    without copies of training clips, where there are any.
    """
    by_val = result.selection == "val"
    copies = bool(result.copies)
    table = Table(title=f"{result.run} on {result.dataset}, protocol {result.protocol}")
    table.add_column("", no_wrap=True)  # headings wrap where the terminal is narrow
    headings = ["best epoch" if by_val else "last epoch", *_score_headings(by_val, copies)]
    for heading in headings:
        table.add_column(heading, justify="right")
    basis = result.fitted.basis if result.fitted else None
    notes = [
        copies_note(len(result.copies)),
        not_filmed_note(result.not_filmed),
        f"Fitted on val: {basis.text}" if basis else "",
    ]
    table.caption = "\n".join(filter(None, notes)) or None
    networks = [member for member in ALL if member in result.members and member != FUSION]
    for member in networks:
        row = result.members[member]
        cells = _score_cells(row, by_val, copies)
        table.add_row(member, str(row.epoch or ""), *cells, end_section=member == networks[-1])
    cells = _score_cells(result.members[FUSION], by_val, copies)
    table.add_row("fusion, equal weights", "", *cells, style="bold")
    if result.fitted:
        cells = _score_cells(result.fitted, by_val, copies)
        table.add_row("fusion, weights fitted on val", "", *cells, style="bold")
    return table


def _score_headings(by_val: bool, copies: bool) -> list[str]:
    """Return the headings of the accuracies, the columns of `_score_cells`."""
    val = ["val top-1"] if by_val else []
    return [*val, "test top-1", *([WITHOUT_COPIES_HEADING] if copies else [])]


def _score_cells(row: MemberResult | FittedFusion, by_val: bool, copies: bool) -> list[str]:
    """Return the accuracies of a row as text."""
    val = [percent(row.val_top1)] if by_val else []
    without_copies = [percent(row.test_top1_without_copies)] if copies else []
    return [*val, percent(row.test_top1), *without_copies]
