"""Figures that compare skeleton, video and their fusion."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hhmnet_core.fusion.metrics import count_confusions, per_class_accuracy, top1
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_platform.members import COLOURS, FUSION, VIDEO
from hhmnet_platform.presentation.drawing import short_name

SKELETON = "skeleton"
_COLOURS = {SKELETON: COLOURS["joint"], VIDEO: COLOURS[VIDEO], FUSION: COLOURS[FUSION]}


def side_by_side(tables: Mapping[str, ScoreTable]) -> Figure:
    """Draw confusion matrices beside each other, in per cent of each true class, on one scale.

    Args:
        tables: Score tables of one split, by the name to show.
    """
    first = next(iter(tables.values()))
    num_classes = len(first.class_names)
    side = max(4.5, 0.13 * num_classes + 2.5)
    figure = Figure(figsize=(side * len(tables), side + 1), layout="constrained")
    axes = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    names = [short_name(name) for name in first.class_names]
    size = 8 if num_classes <= 30 else 5
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        counts = count_confusions(table)
        totals = np.maximum(counts.sum(1, keepdims=True), 1)
        image = axis.imshow(100.0 * counts / totals, cmap="Blues", vmin=0, vmax=100)
        axis.set_title(f"{name}, {table.split}: {top1(table):.1%}")
        axis.set_xticks(range(num_classes), names, rotation=90, fontsize=size)
        axis.set_xlabel("predicted")
    axes[0].set_yticks(range(num_classes), names, fontsize=size)
    axes[0].set_ylabel("true")
    figure.colorbar(image, ax=axes, shrink=0.6, label="% of the true class")
    return figure


def class_gains(skeleton: ScoreTable, video: ScoreTable, fused: ScoreTable) -> Figure:
    """Draw the accuracy of each class by skeleton, video and fusion.

    The class that gains most by the fusion, against the skeleton, is on top.
    """
    by_name = {
        name: per_class_accuracy(table)
        for name, table in ((SKELETON, skeleton), (VIDEO, video), (FUSION, fused))
    }
    gains = np.nan_to_num(by_name[FUSION] - by_name[SKELETON], nan=-2.0)
    order = np.argsort(-gains, kind="stable")
    names = [short_name(fused.class_names[label]) for label in order]
    figure = Figure(figsize=(8, max(3.0, 0.2 * len(names) + 1.4)), layout="constrained")
    axis: Axes = figure.subplots()
    rows = np.arange(len(names))
    axis.hlines(rows, by_name[SKELETON][order], by_name[FUSION][order], color="grey", linewidth=2)
    for (name, accuracies), marker in zip(by_name.items(), "os|", strict=True):
        axis.plot(
            accuracies[order], rows, marker, color=_COLOURS[name], label=name,
            markersize=11 if marker == "|" else 6, markeredgewidth=3 if marker == "|" else 1,
        )  # fmt: skip
    axis.set_yticks(rows, names, fontsize=9 if len(names) <= 30 else 7)
    axis.invert_yaxis()
    axis.set(xlim=(-0.02, 1.02), xlabel=f"accuracy on {fused.split}")
    axis.set_title("Gain of the fusion over the skeleton, by class")
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def part_similarity(metrics: Mapping[str, float]) -> Figure | None:
    """Draw the similarity of body parts in the video to those of the skeleton.

    Args:
        metrics: Metrics of the video network. `similarity/<part in video>/<part of skeleton>` are
            mean cosines.

    Returns:
        The figure, or None without such metrics.
    """
    similarity = np.array(
        [[metrics.get(f"similarity/{row}/{column}", np.nan) for column in PARTS] for row in PARTS]
    )
    if np.isnan(similarity).all():
        return None
    figure = Figure(figsize=(6.5, 5.5), layout="constrained")
    axis: Axes = figure.subplots()
    image = axis.imshow(similarity, cmap="RdBu_r", vmin=-1, vmax=1)
    for row, column in np.ndindex(similarity.shape):
        value = similarity[row, column]
        if not np.isnan(value):
            colour = "white" if abs(value) > 0.6 else "black"
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour)
    names = [part.replace("_", " ") for part in PARTS]
    axis.set_xticks(range(len(PARTS)), names, rotation=45, ha="right")
    axis.set_yticks(range(len(PARTS)), names)
    axis.set(xlabel="part of the skeleton", ylabel="part in the video")
    axis.set_title("Similarity of body parts in the same test clips: mean cosine")
    figure.colorbar(image, shrink=0.7)
    return figure
