"""The report of an ensemble: one page of HTML with its figures inside."""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from hhmnet_core.fusion.compare import disagreement, most_frequent_confusions, reliability
from hhmnet_platform.fusion.ensemble import Ensemble
from hhmnet_platform.fusion.ensemble_result import (
    EnsembleResult,
    leaderboard_cells,
    leaderboard_headings,
)
from hhmnet_platform.presentation.drawing import draw_figures, short_name
from hhmnet_platform.presentation.labels import copies_note, percent

_TEMPLATE = Path(__file__).with_suffix(".html")


def html_report(ensemble: Ensemble, result: EnsembleResult, name: str) -> str:
    """Return a page of HTML with its figures inside."""
    pages = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters["percent"] = percent
    ours, single = result.leaderboard[:2]
    return pages.from_string(_TEMPLATE.read_text("utf-8")).render(
        name=name,
        result=result,
        candidates=len(ensemble.candidates),
        ours=ours,
        single=single,
        paired=result.against_best_single,
        copies_note=copies_note(result.copies),
        leaderboard_headings=leaderboard_headings(result),
        leaderboard=[leaderboard_cells(result, entry) for entry in result.leaderboard],
        members=_members(ensemble),
        pictures=_pictures(ensemble),
        confusions=_confusions(ensemble),
        left_out=[(each.name, each.reason) for each in result.rejected],
    )


def _members(ensemble: Ensemble) -> list[tuple[str, ...]]:
    return [
        (
            ensemble.candidates[at].name,
            f"{ensemble.shares[at]:.3f}",
            f"{ensemble.weights[at]:.3f}",
            f"{ensemble.temperatures[at]:.2f}",
            percent(float(ensemble.is_right("val", ensemble.only(at)).mean())),
            percent(float(ensemble.is_right("test", ensemble.only(at)).mean())),
        )
        for at in ensemble.members
    ]


def _pictures(ensemble: Ensemble) -> dict[str, str]:
    """Return PNG images in base64 by what they show, without those that cannot be drawn."""
    images = draw_figures({
        "accuracy over the number of members": lambda: _growing(ensemble),
        "accuracy of each class": lambda: _classes(ensemble),
        "share of clips on which two networks disagree": lambda: _diversity(ensemble),
        "reliability diagram": lambda: _reliability(ensemble),
    })  # fmt: skip
    return {about: base64.b64encode(image).decode() for about, image in images.items()}


def _growing(ensemble: Ensemble) -> Figure:
    val, test = zip(*ensemble.growing(), strict=True)
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axis: Axes = figure.subplots()
    counts = range(1, len(val) + 1)
    axis.plot(counts, val, "o--", color="#7f8c99", label="val, used for selection")
    axis.plot(counts, test, "o-", color="#1f5fbf", label="test")
    axis.axhline(
        float(ensemble.is_right("test", ensemble.only(ensemble.best_single)).mean()),
        color="#1f5fbf", linestyle=":", label="best single, test",
    )  # fmt: skip
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set(xlabel="members", ylabel="top-1", xticks=list(counts)[:: max(1, len(val) // 15)])
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def _classes(ensemble: Ensemble) -> Figure:
    names = ensemble.candidates[0].test.class_names
    labels = ensemble.labels("test")
    ours = ensemble.is_right("test")
    single = ensemble.is_right("test", ensemble.only(ensemble.best_single))
    present = [k for k in range(len(names)) if (labels == k).any()]
    pairs = [
        (short_name(names[k]), single[labels == k].mean(), ours[labels == k].mean())
        for k in present
    ]
    pairs.sort(key=lambda pair: pair[1] - pair[2])
    figure = Figure(figsize=(8, max(3.0, 0.2 * len(pairs) + 1.4)), layout="constrained")
    axis: Axes = figure.subplots()
    rows = np.arange(len(pairs))
    before, after = (np.array([pair[at] for pair in pairs], dtype=float) for at in (1, 2))
    axis.hlines(rows, before, after, color="#b4bec9", linewidth=2)
    axis.plot(before, rows, "o", color="#7f8c99", label="best single")
    axis.plot(after, rows, "|", color="#1f5fbf", markersize=11, markeredgewidth=3, label="ensemble")
    axis.set_yticks(rows, [pair[0] for pair in pairs], fontsize=9 if len(pairs) <= 30 else 7)
    axis.invert_yaxis()
    axis.set(xlim=(-0.02, 1.02), xlabel="accuracy on test")
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _diversity(ensemble: Ensemble) -> Figure:
    members = ensemble.members[:20]
    predictions_sn = ensemble.logs["test"][members].argmax(2)
    shares = 100 * disagreement(predictions_sn)
    names = [short_name(ensemble.candidates[at].name.rpartition("-")[2]) for at in members]
    side = max(4.0, 0.42 * len(members) + 2.5)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axis: Axes = figure.subplots()
    image = axis.imshow(shares, cmap="viridis", vmin=0)
    for row, column in np.ndindex(shares.shape):
        dark = shares[row, column] < 0.6 * max(float(shares.max()), 1e-9)
        axis.text(
            column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=8,
            color="white" if dark else "black",
        )  # fmt: skip
    axis.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    figure.colorbar(image, shrink=0.7, label="% of test clips with different predictions")
    return figure


def _reliability(ensemble: Ensemble) -> Figure:
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    for axis, (name, weights) in zip(
        axes,
        (("ensemble", None), ("best single", ensemble.only(ensemble.best_single))),
        strict=True,
    ):
        bins = reliability(ensemble.mixture("test", weights), ensemble.labels("test"))
        axis.plot([0, 1], [0, 1], ":", color="grey", label="perfect calibration")
        filled = bins.clips > 0
        axis.scatter(
            bins.confidence[filled], bins.accuracy[filled], s=8 + 3 * bins.clips[filled] ** 0.5 * 4,
            color="#1f5fbf", alpha=0.75, label="bins, sized by their number of clips",
        )  # fmt: skip
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence")
        axis.set_title(f"{name}: calibration error {bins.error:.1%}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy")
    axes[0].legend(loc="upper left", fontsize=8)
    return figure


def _confusions(ensemble: Ensemble) -> list[tuple[str, int, str]]:
    names = ensemble.candidates[0].test.class_names
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (ensemble.labels("test"), ensemble.mixture("test").argmax(1)), 1)
    return [
        (f"{true}, predicted as {predicted}", clips, f"{share:.0%}")
        for true, predicted, clips, share in most_frequent_confusions(counts, names)
    ]
