"""Score tables of finished runs."""

from pathlib import Path

import numpy as np
import pytest
from failing_files import failing_reads

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.fusion.scores import ScoreTable, write_scores
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.scores import load_all_scores, load_scores, scores_file


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder("first", str(tmp_path / "first"))


def write(run: RunFolder, split: str) -> None:
    table = ScoreTable(
        ("a",), np.array([1]), np.ones((1, 2), np.float32), "first", "joint", split, "digest",
        ("left", "right"),
    )  # fmt: skip
    write_scores(table, f"{run.uri}/{scores_file('joint', split)}")


def test_tables_are_read_by_split(run: RunFolder) -> None:
    write(run, "test")
    assert list(load_all_scores(run, "joint")) == ["test"]
    write(run, "val")
    assert {split: table.split for split, table in load_all_scores(run, "joint").items()} == {
        "val": "val", "test": "test",
    }  # fmt: skip


def test_lost_and_damaged_tables_are_named_with_the_way_out(run: RunFolder) -> None:
    message = r"has no readable scores of joint on test .* Delete .*/result\.json and give its"
    with pytest.raises(InputError, match=message):
        load_all_scores(run, "joint")
    run.files.write(scores_file("joint", "test"), b"no parquet")
    with pytest.raises(InputError, match=message):
        load_scores(run, "joint", "test")


def test_table_in_the_place_of_another_is_refused(run: RunFolder) -> None:
    write(run, "val")
    run.files.write(scores_file("joint", "test"), run.files.read(scores_file("joint", "val")))
    with pytest.raises(InputError, match=r"joint-test.parquet holds those of joint on val"):
        load_scores(run, "joint", "test")


def test_table_that_cannot_be_read_is_no_damaged_one(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(run, "test")
    with failing_reads(monkeypatch, "joint-test.parquet"), pytest.raises(AccessError):
        load_scores(run, "joint", "test")
