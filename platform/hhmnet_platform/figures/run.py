"""Figures of a run, and its table in the terminal."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from hhmnet_core.fusion.scores import ScoreTable, confusion, per_class_accuracy, top1
from hhmnet_platform.labels import (
    WITHOUT_COPIES_HEADING,
    WITHOUT_COPIES_KEY,
    copies_note,
    not_filmed_note,
    percent,
)
from hhmnet_platform.members import ALL, COLOURS, FUSION

Records = Sequence[Mapping[str, Any]]


def series(records: Records, member: str, metric: str) -> tuple[list[int], list[float]]:
    """Epochs and values of a metric, where it was measured."""
    pairs = [
        (int(record["epoch"]), float(record["metrics"][member][metric]))
        for record in records
        if metric in record["metrics"].get(member, {})
    ]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def learning_curves(records: Records, modality: str) -> Figure:
    """Loss and top-1 of one modality, train and val."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(1, 2)
    for axis, metric, name in zip(axes, ("loss", "top1"), ("loss", "top-1"), strict=True):
        for part, style in (("train", "--"), ("val", "-")):
            epochs, values = series(records, modality, f"{part}/{metric}")
            if epochs:
                axis.plot(epochs, values, style, color=COLOURS[modality], label=part)
        axis.set(xlabel="epoch", ylabel=name)
        axis.grid(alpha=0.3)
        axis.legend()
    axes[1].set_ylim(0, 1)
    figure.suptitle(f"{modality}: learning curves")
    return figure


def compared_curves(records: Records) -> Figure:
    """Top-1 of all modalities and their fusion in one figure: val, or train where nothing chose."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axis: Axes = figure.subplots()
    part = "val" if any(series(records, member, "val/top1")[0] for member in ALL) else "train"
    for member in ALL:
        epochs, values = series(records, member, f"{part}/top1")
        if epochs:
            axis.plot(epochs, values, color=COLOURS[member], label=f"{member} ({values[-1]:.1%})")
    axis.set(
        xlabel="epoch", ylabel=f"{part} top-1", ylim=(0, 1), title="The modalities side by side"
    )
    axis.grid(alpha=0.3)
    axis.legend(title="last epoch")
    return figure


def confusion_matrix(table: ScoreTable) -> Figure:
    """Confusions in per cent of each true class; the names stay readable from 10 to 120 classes."""
    counts = confusion(table)
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(100.0 * counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    num_classes = len(table.class_names)
    side = max(6.0, 0.16 * num_classes + 4.0)
    figure = Figure(figsize=(side, side), layout="constrained")
    axis: Axes = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    size = 9 if num_classes <= 30 else 6
    axis.set_xticks(range(num_classes), table.class_names, rotation=90, fontsize=size)
    axis.set_yticks(range(num_classes), table.class_names, fontsize=size)
    if num_classes <= 30:
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
    """Accuracy of each class as bars, the hardest class on top."""
    accuracies = per_class_accuracy(table)
    order = np.argsort(np.where(np.isnan(accuracies), 2.0, accuracies), kind="stable")
    names = [table.class_names[i] for i in order]
    figure = Figure(figsize=(7, max(3.0, 0.18 * len(names) + 1.2)), layout="constrained")
    axis: Axes = figure.subplots()
    axis.barh(range(len(names)), np.nan_to_num(accuracies[order]), color=COLOURS[table.modality])
    axis.set_yticks(range(len(names)), names, fontsize=9 if len(names) <= 30 else 7)
    axis.invert_yaxis()
    axis.axvline(top1(table), color="grey", linestyle=":", label=f"all clips {top1(table):.1%}")
    axis.set(xlim=(0, 1), xlabel="accuracy", title=f"{table.modality}, {table.split}: by class")
    axis.legend(loc="lower right")
    return figure


def figures_of(member: str, records: Records, table: ScoreTable | None) -> dict[str, bytes]:
    """The PNG files of a modality, or of the whole run under "fusion"."""
    figures: dict[str, Figure] = {}
    if member == FUSION:
        figures["curves.png"] = compared_curves(records)
    else:
        figures["curves.png"] = learning_curves(records, member)
    if table is not None:
        figures[f"confusion-{table.split}.png"] = confusion_matrix(table)
        figures[f"classes-{table.split}.png"] = class_accuracy(table)
    return {name: to_png(figure) for name, figure in figures.items()}


def to_png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def result_table(result: Mapping[str, Any]) -> Table:
    """Each modality and the fusion: best epoch, val, test, and test without copies of training."""
    table = Table(title=f"{result['run']} on {result['dataset']}, protocol {result['protocol']}")
    chosen = result["selection"] == "val"
    table.add_column("", no_wrap=True)  # headers wrap where the terminal is narrow
    table.add_column("best epoch" if chosen else "last epoch", justify="right")
    columns = {"val_top1": "val top-1"} if chosen else {}
    columns["test_top1"] = "test top-1"
    if copies := result["copies"]:
        columns[WITHOUT_COPIES_KEY] = WITHOUT_COPIES_HEADING
    notes = [copies_note(len(copies)), not_filmed_note(result.get("not_filmed", 0))]
    table.caption = "\n".join(filter(None, notes)) or None
    for name in columns.values():
        table.add_column(name, justify="right")
    shown = [member for member in ALL if member in result["members"]]
    for member in shown:
        row = result["members"][member]
        last = member == shown[-2]
        cells = [member if member != FUSION else "fusion, equal weights"]
        cells.append(str(row["epoch"]) if row["epoch"] else "")
        cells += [percent(row.get(key)) for key in columns]
        table.add_row(*cells, end_section=last, style="bold" if member == FUSION else None)
    if fitted := result.get("fitted"):
        cells = ["", *(percent(fitted.get(key)) for key in columns)]
        table.add_row("fusion, weights fitted on val", *cells, style="bold")
    return table
