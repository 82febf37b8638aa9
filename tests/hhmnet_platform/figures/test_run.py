import io
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.figures.run import (
    class_accuracy,
    confusion_matrix,
    figures_of,
    result_table,
    series,
)
from hhmnet_platform.members import FUSION


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


def records(part: str = "val") -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "seconds": 1.0,
            "metrics": {
                name: {"train/loss": 1 / epoch, "train/top1": 0.1, f"{part}/top1": 0.1 * epoch}
                for name in (*MODALITIES, FUSION)
            },
        }
        for epoch in (1, 2, 3)
    ]


def test_series_leaves_out_what_was_not_measured() -> None:
    history = records()
    del history[1]["metrics"]["joint"]["val/top1"]
    assert series(history, "joint", "val/top1") == ([1, 3], [0.1, pytest.approx(0.3)])
    assert series(history, "joint", "val/loss") == ([], [])


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
@pytest.mark.parametrize("part", ["val", "train"])
def test_figures_are_png_files_with_something_in_them(member: str, part: str) -> None:
    figures = figures_of(member, records(part), table(10, member))
    assert set(figures) == {"curves.png", "confusion-test.png", "classes-test.png"}
    for content in figures.values():
        assert imread(io.BytesIO(content)).std() > 0.05


@pytest.mark.parametrize("selection", ["val", "literature", "fold-1-of-5"])
def test_result_table_shows_every_modality_and_the_fusion(selection: str) -> None:
    members = {
        name: {"epoch": 7, "val_top1": 0.5 if selection == "val" else None, "test_top1": 0.456}
        for name in MODALITIES
    }
    members[FUSION] = {"epoch": None, "val_top1": None, "test_top1": 0.789}
    result = {
        "run": "nw_ucla-phase1-1",
        "dataset": "nw_ucla",
        "protocol": "12-3",
        "selection": selection,
        "members": members,
        "copies": [],
    }
    console = Console(file=io.StringIO(), width=100)
    console.print(result_table(result))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(name in shown for name in MODALITIES)
    assert "fusion, equal weights" in shown and "78.9%" in shown and "45.6%" in shown
    assert ("best epoch" in shown) == (selection == "val")
    assert "fitted" not in shown and "copies" not in shown
    fitted = {"weights": {"joint": 1.0}, "val_top1": 0.321, "test_top1": 0.654}
    console.print(result_table(result | {"fitted": fitted}))
    assert ("32.1%" in console.file.getvalue()) == (selection == "val")  # type: ignore[attr-defined]
    assert "fitted on val" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "65.4%" in console.file.getvalue()  # type: ignore[attr-defined]


def test_result_table_tells_test_clips_that_training_has_seen() -> None:
    row = {"epoch": 7, "val_top1": None, "test_top1": 0.9, "test_top1_without_copies": 0.8}
    result = {
        "run": "nw_ucla-phase1-1",
        "dataset": "nw_ucla",
        "protocol": "12-3",
        "selection": "literature",
        # All of the fusion's clips are copies, or none are: such a row has no figure.
        "members": dict.fromkeys(MODALITIES, row) | {FUSION: {**row, "epoch": None}},
        "copies": ["a02_s01_e00_v03", "a02_s01_e01_v03"],
    }
    del (joint := dict(row))["test_top1_without_copies"]
    result["members"]["joint"] = joint
    console = Console(file=io.StringIO(), width=100)
    console.print(result_table(result))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "test without copies" in shown and shown.count("80.0%") == 4
    assert "2 test clips are copies of training clips" in shown
    console.print(result_table(result | {"not_filmed": 3}))
    assert "3 test clips without video, in no row" in console.file.getvalue()  # type: ignore[attr-defined]
