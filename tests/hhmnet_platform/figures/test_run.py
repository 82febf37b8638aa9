"""Figures of one run, and the table of its result."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from hhmnet_core.fusion.evidence import Gain
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.shrinkage import ChoiceBasis
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.figures.run import (
    class_accuracy,
    compared_curves,
    confusion_matrix,
    drawings_of,
    result_table,
    series,
)
from hhmnet_platform.members import FUSION
from hhmnet_platform.presentation.drawing import draw_figures
from hhmnet_platform.storage.results import FittedFusion, MemberResult, RunResult


def table(num_classes: int, modality: str = "joint") -> ScoreTable:
    random = np.random.default_rng(1)
    labels = np.arange(num_classes - 1).repeat(3)  # the last class has no clips
    logits = random.normal(size=(len(labels), num_classes)).astype(np.float32)
    return ScoreTable(
        sample_ids=tuple(f"clip-{i}" for i in range(len(labels))),
        labels=labels,
        logits=logits,
        run="run",
        modality=modality,
        split="test",
        digest="d",
        class_names=tuple(f"throw object number {i}" for i in range(num_classes)),
    )


def history(split: str = "val") -> list[EpochRecord]:
    return [
        EpochRecord(
            epoch,
            1.0,
            {
                name: {"train/loss": 1 / epoch, "train/top1": 0.1, f"{split}/top1": 0.1 * epoch}
                for name in (*MODALITIES, FUSION)
            },
        )
        for epoch in (1, 2, 3)
    ]


def test_series_leaves_out_epochs_without_the_metric() -> None:
    records = history()
    del records[1].metrics["joint"]["val/top1"]
    assert series(records, "joint", "val/top1") == ([1, 3], [0.1, pytest.approx(0.3)])
    assert series(records, "joint", "val/loss") == ([], [])


@pytest.mark.parametrize("split", ["val", "train"])
def test_compared_curves_have_a_line_per_member(split: str) -> None:
    axis = compared_curves(history(split)).axes[0]
    assert axis.get_ylabel() == f"{split} top-1"
    labels = [f"{member} (30.0%)" for member in (*MODALITIES, FUSION)]
    assert [line.get_label() for line in axis.lines] == labels


@pytest.mark.parametrize("num_classes", [10, 120])
def test_confusion_and_classes_name_every_class(num_classes: int) -> None:
    shown = table(num_classes)
    matrix = confusion_matrix(shown).axes[0]
    assert [label.get_text() for label in matrix.get_yticklabels()] == list(shown.class_names)
    shares = np.asarray(matrix.images[0].get_array())
    np.testing.assert_allclose(shares[:-1].sum(1), 100)
    assert (shares[-1] == 0).all()
    bars = class_accuracy(shown).axes[0]
    assert {label.get_text() for label in bars.get_yticklabels()} == set(shown.class_names)


@pytest.mark.parametrize("member", [*MODALITIES, FUSION])
@pytest.mark.parametrize("split", ["val", "train"])
def test_figures_are_png_images_that_are_not_empty(member: str, split: str) -> None:
    figures = draw_figures(drawings_of(member, history(split), table(10, member)), pytest.fail)
    assert set(figures) == {"curves.png", "confusion-test.png", "classes-test.png"}
    for content in figures.values():
        assert imread(io.BytesIO(content)).std() > 0.05


def test_names_of_classes_are_drawn_literally_and_cut() -> None:
    shown = replace(table(3), class_names=(r"$\frac{1$", "two\nlines", "x" * 10_000))
    matrix = confusion_matrix(shown)
    for axis in (matrix.axes[0], class_accuracy(shown).axes[0]):
        names = {label.get_text() for label in axis.get_yticklabels()}
        assert names == {r"$\frac{1$", "two lines", "x" * 59 + "…"}
    drawn = draw_figures(drawings_of("joint", history(), shown), pytest.fail)
    assert set(drawn) == {"curves.png", "confusion-test.png", "classes-test.png"}


def test_result_table_is_printed_literally() -> None:
    output = io.StringIO()
    console = Console(file=output, width=100, markup=False, emoji=False)
    console.print(result_table(replace(result(), dataset="[red] :smile:")))
    assert "[red] :smile:" in output.getvalue()


def test_without_scores_only_curves_are_drawn() -> None:
    assert set(drawings_of("joint", history(), None)) == {"curves.png"}


def result(selection: str = "val", val: float | None = 0.5) -> RunResult:
    rows = {name: MemberResult(7, val, 0.456) for name in MODALITIES}
    return RunResult(
        run="nw_ucla-phase1-1",
        phase="phase1",
        dataset="nw_ucla",
        protocol="12-3",
        selection=selection,
        digest="d",
        members=rows | {FUSION: MemberResult(None, val, 0.789)},
        fitted=None,
        copies=(),
        not_filmed=0,
        mesh="1 worker",
        mesh_history=(),
        seconds=1.0,
        checkpoint="epoch-00002",
        identity={},
        tags={},
        history=(),
    )


def printed(shown: RunResult) -> str:
    output = io.StringIO()
    Console(file=output, width=100).print(result_table(shown))
    return output.getvalue()


@pytest.mark.parametrize(
    ("selection", "val"), [("val", 0.5), ("literature", None), ("fold-1-of-5", None)]
)
def test_result_table_shows_every_modality_and_the_fusion(
    selection: str, val: float | None
) -> None:
    run = result(selection, val)
    text = printed(run)
    assert all(name in text for name in MODALITIES)
    assert "fusion, equal weights" in text and "78.9%" in text and "45.6%" in text
    assert ("best epoch" in text) == ("50.0%" in text) == (selection == "val")
    assert ("last epoch" in text) == (selection != "val")
    assert "fitted" not in text and "copies" not in text
    text = printed(replace(run, fitted=FittedFusion({"joint": 1.0}, 0.321, 0.654)))
    assert ("32.1%" in text) == (selection == "val")
    assert "fusion, weights fitted on val" in text and "65.4%" in text
    basis = ChoiceBasis("equal", Gain(0.01, 0.02, 126, 1, 9.3))
    text = printed(replace(run, fitted=FittedFusion({"joint": 1.0}, 0.3, 0.6, None, basis)))
    assert "within the noise" in " ".join(text.split())


def test_result_table_shows_accuracies_without_copies() -> None:
    rows = {name: MemberResult(7, None, 0.9, 0.8) for name in MODALITIES}
    # A member whose test clips are all copies has no such accuracy.
    rows |= {"joint": MemberResult(7, None, 0.9), FUSION: MemberResult(None, None, 0.9, 0.8)}
    copies = ("a02_s01_e00_v03", "a02_s01_e01_v03")
    run = replace(result("literature"), members=rows, copies=copies)
    text = printed(run)
    assert "test without copies" in text and text.count("80.0%") == 4
    assert "2 test clips are copies of training clips" in text
    assert "3 test clips without video are not counted" in printed(replace(run, not_filmed=3))
