"""An ensemble as a page that stands alone, and as a table in the terminal."""

import base64
from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from rich.console import Console
from rich.table import Table

from hhmnet_core.fusion.compare import disagreement, reliability, worst_confusions
from hhmnet_platform.figures.run import to_png
from hhmnet_platform.fusion.ensemble import Ensemble, Entry
from hhmnet_platform.labels import WITHOUT_COPIES_HEADING, copies_note, percent

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


def page_of(ensemble: Ensemble, name: str, experiment: str) -> str:
    """The page, HTML with its figures inside."""
    board = ensemble.leaderboard
    ours, single = board[0], board[1]
    paired = ensemble.against_best()
    counts = ensemble.candidates[0].val, ensemble.candidates[0].test
    note = copies_note(len(ensemble.tested.copies))
    verdict = "hardly chance" if paired.p_value < 0.05 else "possibly chance"
    parts = [
        f"<h1>{escape(name)}</h1>",
        f"<p>{len(ensemble.members)} of {len(ensemble.candidates)} networks of "
        f"<code>{escape(experiment)}</code>, selected on {len(counts[0])} clips of val. On "
        f"{len(counts[1])} clips of test it has <b>{ours.test_top1:.1%}</b> "
        f"({ours.interval[0]:.1%} to {ours.interval[1]:.1%}), the best single network "
        f"{single.test_top1:.1%}. It has {paired.gained} clips right that the best single network "
        f"has wrong, and {paired.lost} wrong that it has right: {verdict} "
        f"(McNemar's exact test, p = {paired.p_value:.2g}).</p>",
        "<p class=note>All was chosen on val: temperatures, weights, and which network is the best "
        "single one. Nothing was chosen by test. Intervals are 95 %, by bootstrap over "
        "clips; they do not cover other seeds or subjects.</p>",
        *([f"<p class=note>{note}. The last column leaves them out.</p>"] if note else []),
        "<h2>Leaderboard</h2>",
        _table(_heads(ensemble), [_cells(ensemble, e) for e in board], first_is_ours=True),
        "<h2>Members</h2>",
        _table(
            ("network", "weight", "temperature", "val top-1", "test top-1"),
            [
                (
                    ensemble.candidates[at].name,
                    f"{ensemble.weights[at]:.3f}",
                    f"{ensemble.temperatures[at]:.2f}",
                    f"{ensemble.right('val', ensemble.alone(at)).mean():.1%}",
                    f"{ensemble.right('test', ensemble.alone(at)).mean():.1%}",
                )
                for at in ensemble.members
            ],
        ),
        "<h2>As members are added, the heaviest first</h2>",
        _picture(_growing(ensemble), "accuracy over the number of members"),
        "<h2>By class</h2>",
        _picture(_classes(ensemble), "accuracy of each class"),
        "<h2>How differently the members decide</h2>",
        _picture(_diversity(ensemble), "share of clips on which two networks disagree"),
        "<h2>Is it as sure as it is right?</h2>",
        _picture(_reliability(ensemble), "reliability diagram"),
        "<h2>What it still confuses</h2>",
        _table(
            ("class", "clips", "of the class"),
            [
                (f"{true}, taken for {said}", n, f"{share:.0%}")
                for true, said, n, share in _confusions(ensemble)
            ],
        ),
        "<h2>Left out</h2>",
        _table(("what", "why"), [(each.name, each.reason) for each in ensemble.rejected])
        if ensemble.rejected
        else "<p>Nothing.</p>",
    ]  # fmt: skip
    head = f'<meta charset="utf-8"><title>{escape(name)}</title><style>{_STYLE}</style>'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def print_ensemble(ensemble: Ensemble, name: str) -> None:
    """The heads of the page, in the terminal."""
    console = Console(highlight=False, soft_wrap=True)
    table = Table(title=name, caption=copies_note(len(ensemble.tested.copies)))
    for at, head in enumerate(_heads(ensemble)):
        # Where the terminal is narrow, names fold and are not cut off.
        table.add_column(head, justify="right" if at else "left", overflow="fold")
    compared = len(ensemble.leaderboard) - len(ensemble.candidates)
    for at, entry in enumerate(ensemble.leaderboard[:compared]):
        table.add_row(*_cells(ensemble, entry), style="bold" if not at else None)
    console.print(table)
    paired = ensemble.against_best()
    console.print(
        f"Against the best single network: {paired.gained} clips gained, {paired.lost} lost, "
        f"p = {paired.p_value:.2g}"
    )
    for each in ensemble.rejected:
        console.print(f"left out: {each.name} {each.reason}", markup=False)


def _heads(ensemble: Ensemble) -> list[str]:
    """Of the leaderboard."""
    heads = ["", "networks", "val top-1", "test top-1", "95 % of test"]
    return heads + ([WITHOUT_COPIES_HEADING] if ensemble.tested.copies else [])


def _cells(ensemble: Ensemble, entry: Entry) -> list[str]:
    low, high = entry.interval
    shares = [f"{entry.val_top1:.1%}", f"{entry.test_top1:.1%}", f"{low:.1%} to {high:.1%}"]
    if ensemble.tested.copies:
        shares.append(percent(entry.test_top1_without_copies))
    return [entry.name, str(entry.members), *shares]


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[object]], first_is_ours: bool = False
) -> str:
    def cell(value: object, at: int, kind: str) -> str:
        aligned = ' class="n"' if at else ""
        return f"<{kind}{aligned}>{escape(str(value))}</{kind}>"

    lines = ["".join(cell(head, at, "th") for at, head in enumerate(heads))]
    lines += ["".join(cell(value, at, "td") for at, value in enumerate(row)) for row in rows]
    kinds = ["", ' class="ours"' if first_is_ours else "", *[""] * len(lines)]
    shown = [f"<tr{kind}>{line}</tr>" for kind, line in zip(kinds, lines, strict=False)]
    return "<table>\n" + "\n".join(shown) + "\n</table>"


def _picture(figure: Figure, about: str) -> str:
    data = base64.b64encode(to_png(figure)).decode()
    return f'<img alt="{escape(about)}" src="data:image/png;base64,{data}">'


def _growing(ensemble: Ensemble) -> Figure:
    val, test = zip(*ensemble.growing(), strict=True)
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axis: Axes = figure.subplots()
    counts = range(1, len(val) + 1)
    axis.plot(counts, val, "o--", color="#7f8c99", label="val, which chose")
    axis.plot(counts, test, "o-", color="#1f5fbf", label="test")
    axis.axhline(
        float(ensemble.right("test", ensemble.alone(ensemble.best)).mean()),
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
    ours = ensemble.right("test")
    single = ensemble.right("test", ensemble.alone(ensemble.best))
    there = [k for k in range(len(names)) if (labels == k).any()]
    pairs = [(names[k], single[labels == k].mean(), ours[labels == k].mean()) for k in there]
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
    said = ensemble.logs["test"][members].argmax(2)
    shares = 100 * disagreement(said)
    names = [ensemble.candidates[at].name.rpartition("-")[2] for at in members]
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
    figure.colorbar(image, shrink=0.7, label="% of test clips called differently")
    return figure


def _reliability(ensemble: Ensemble) -> Figure:
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes: Sequence[Axes] = figure.subplots(1, 2, sharey=True)
    for axis, (name, weights) in zip(
        axes,
        (("ensemble", None), ("best single", ensemble.alone(ensemble.best))),
        strict=True,
    ):
        found = reliability(ensemble.mixed("test", weights), ensemble.labels("test"))
        axis.plot([0, 1], [0, 1], ":", color="grey", label="as sure as right")
        there = found.clips > 0
        axis.scatter(
            found.confidence[there], found.accuracy[there], s=8 + 3 * found.clips[there] ** 0.5 * 4,
            color="#1f5fbf", alpha=0.75, label="a bin, as large as its clips",
        )  # fmt: skip
        axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence")
        axis.set_title(f"{name}: calibration error {found.error:.1%}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy")
    axes[0].legend(loc="upper left", fontsize=8)
    return figure


def _confusions(ensemble: Ensemble) -> list[tuple[str, str, int, float]]:
    names = ensemble.candidates[0].test.class_names
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (ensemble.labels("test"), ensemble.mixed("test").argmax(1)), 1)
    return worst_confusions(counts, names)
