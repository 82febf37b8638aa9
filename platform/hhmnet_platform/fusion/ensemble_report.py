"""The report of an ensemble: one page of HTML with its figures inside."""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np
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
from hhmnet_platform.presentation.drawing import Drawing, draw_figures, short_name
from hhmnet_platform.presentation.labels import copies_note, percent

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .7rem; border-bottom: 1px solid #dde3ea; }
th { font-weight: 600; } td.n, th.n { text-align: right; white-space: nowrap; }
tr.ours { background: #eef5ff; font-weight: 600; }
img { max-width: 100%; } .note { color: #566473; } code { background: #f2f4f7; padding: 0 .2rem; }
"""


def html_report(ensemble: Ensemble, result: EnsembleResult, name: str) -> str:
    """Return a page of HTML with its figures inside."""
    members = [
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
    confusions = [
        (f"{true}, predicted as {predicted}", clips, f"{share:.0%}")
        for true, predicted, clips, share in _confusions(ensemble)
    ]
    left_out = [(each.name, each.reason) for each in result.rejected]
    sections = [
        f"<h1>{escape(name)}</h1>",
        *_summary(ensemble, result),
        "<h2>Leaderboard</h2>",
        _table(
            leaderboard_headings(result),
            [leaderboard_cells(result, entry) for entry in result.leaderboard],
            highlight_first=True,
        ),
        "<h2>Members</h2>",
        _table(("network", "share", "weight", "temperature", "val top-1", "test top-1"), members),
        "<h2>Accuracy by number of members, the heaviest first</h2>",
        _picture(lambda: _growing(ensemble), "accuracy over the number of members"),
        "<h2>Accuracy by class</h2>",
        _picture(lambda: _classes(ensemble), "accuracy of each class"),
        "<h2>Disagreement between members</h2>",
        _picture(lambda: _diversity(ensemble), "share of clips on which two networks disagree"),
        "<h2>Calibration</h2>",
        _picture(lambda: _reliability(ensemble), "reliability diagram"),
        "<h2>Most frequent confusions</h2>",
        _table(("class", "clips", "of the class"), confusions),
        "<h2>Left out</h2>",
        _table(("name", "reason"), left_out) if left_out else "<p>Nothing.</p>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(name)}</title><style>{_STYLE}</style>'
    body = "\n".join(sections)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _summary(ensemble: Ensemble, result: EnsembleResult) -> list[str]:
    """Return the paragraphs below the title."""
    ours, single = result.leaderboard[:2]
    paired, note = result.against_best_single, copies_note(result.copies)
    paragraphs = [
        f"<p>{len(result.members)} of {len(ensemble.candidates)} networks of "
        f"<code>{escape(result.experiment)}</code>, selected on {result.clips['val']} clips of "
        f"val. On {result.clips['test']} clips of test it has <b>{ours.test_top1:.1%}</b> "
        f"({ours.interval[0]:.1%} to {ours.interval[1]:.1%}), all networks with equal weights "
        f"{result.equal.test_top1:.1%}, the best single network {single.test_top1:.1%}. It "
        f"classifies {paired.gained} clips correctly that the best single network does not, and "
        f"misses {paired.lost} that it does not miss. McNemar's exact test: "
        f"p = {paired.p_value:.2g}.</p>",
        "<p class=note>Temperatures, weights and the best single network were selected on val, "
        "nothing on test. Intervals are 95 %, by bootstrap over clips; they do not cover other "
        "seeds or subjects.</p>",
    ]
    if result.basis:
        paragraphs.insert(1, f"<p>Chosen: {escape(result.basis.text)}.</p>")
    if note:
        paragraphs.append(f"<p class=note>{note}. The last column leaves them out.</p>")
    return paragraphs


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], highlight_first: bool = False
) -> str:
    def cell(value: object, at: int, kind: str) -> str:
        aligned = ' class="n"' if at else ""
        return f"<{kind}{aligned}>{escape(str(value))}</{kind}>"

    lines = ["".join(cell(head, at, "th") for at, head in enumerate(heads))]
    lines += ["".join(cell(value, at, "td") for at, value in enumerate(row)) for row in rows]
    kinds = ["", ' class="ours"' if highlight_first else "", *[""] * len(lines)]
    shown = [f"<tr{kind}>{line}</tr>" for kind, line in zip(kinds, lines, strict=False)]
    return "<table>\n" + "\n".join(shown) + "\n</table>"


def _picture(draw: Drawing, about: str) -> str:
    images = draw_figures({about: draw})
    if not images:
        return "<p class=note>This figure could not be drawn.</p>"
    data = base64.b64encode(images[about]).decode()
    return f'<img alt="{escape(about)}" src="data:image/png;base64,{data}">'


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


def _confusions(ensemble: Ensemble) -> list[tuple[str, str, int, float]]:
    names = ensemble.candidates[0].test.class_names
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (ensemble.labels("test"), ensemble.mixture("test").argmax(1)), 1)
    return most_frequent_confusions(counts, names)
