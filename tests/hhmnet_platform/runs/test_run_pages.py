"""Notes and tables of a finished run's pages in MLflow."""

from dataclasses import replace

import numpy as np
import pytest
from finished_runs import RESULT
from score_tables import make_table

from hhmnet_core.fusion.scores import FUSION
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.runs.run_pages import (
    error_table,
    fitted_params,
    notes_of,
    similarity_table,
)

MEMBERS = (*MODALITIES, FUSION)


def test_errors_are_the_wrong_clips_the_most_confident_first() -> None:
    logits = np.log(np.array([[0.6, 0.2, 0.2], [0.1, 0.8, 0.1], [0.5, 0.25, 0.25]], np.float32))
    table = make_table(num_clips=3, labels=np.array([1, 1, 2]), logits=logits)
    columns = error_table(table)
    assert columns["clip"] == [table.sample_ids[0], table.sample_ids[2]]
    assert columns["true"] == [table.class_names[1], table.class_names[2]]
    assert columns["predicted"] == [table.class_names[0]] * 2
    assert columns["confidence"] == [pytest.approx(0.6), pytest.approx(0.5)]


def test_similarity_has_a_row_for_each_part_and_gaps_for_unseen_ones() -> None:
    table = similarity_table({"similarity/head/torso": 0.12345, "train/loss": 1.0})
    assert table and table["part in the video"] == list(PARTS)
    row = PARTS.index("head")
    assert table["torso"][row] == pytest.approx(0.1235, abs=1e-4)
    assert table["torso"][PARTS.index("torso")] is None
    assert similarity_table({"train/loss": 1.0}) is None


def test_note_begins_with_the_result_of_the_fusion() -> None:
    note = notes_of(RESULT, MEMBERS, True)[FUSION]
    lines = note.splitlines()
    head = next(at for at, line in enumerate(lines) if line.startswith("|"))
    assert lines[head].split(" | ")[1:] == ["best epoch", "val top-1", "test top-1 |"]
    assert lines[head + 2] == "| fusion, equal weights |  | 75.0% | 62.5% |"
    assert sum(line.startswith("| ") for line in lines) == 2 + 2 + len(MODALITIES)
    assert "errors.json" in note and f"--model {RESULT.run}" in note
    assert "--model" not in notes_of(RESULT, MEMBERS, False)[FUSION]


def test_note_has_columns_of_what_was_measured_only() -> None:
    whole = replace(RESULT.members["joint"], test_top5=0.9, test_mean_class_accuracy=0.4)
    result = replace(RESULT, selection="literature", members=RESULT.members | {"joint": whole})
    note = notes_of(result, MEMBERS, True)["joint"]
    assert "| last epoch | val top-1 | test top-1 | test top-5 | test mean class accuracy |" in note
    assert "| joint | 2 | 50.0% | 40.0% | 90.0% | 40.0% |" in note


def test_names_of_users_are_no_markdown() -> None:
    note = notes_of(replace(RESULT, run="a*b*<i>"), MEMBERS, True)[FUSION]
    assert "a\\*b\\*\\<i\\>" in note.splitlines()[0]


def test_fitted_weights_are_params() -> None:
    assert fitted_params(RESULT)["fitted/weight/joint"] == "0.2500"
    assert fitted_params(replace(RESULT, fitted=None)) == {}
