"""The list of runs in a workspace, and what is shown of one."""

from pathlib import Path

import pytest
from finished_runs import write_checkpoint, write_finished_run

from hhmnet_core.errors import InputError
from hhmnet_platform.storage.listing import (
    ListedRun,
    RunsDisplay,
    RunsListing,
    in_megabytes,
    list_runs,
    show_runs,
)
from hhmnet_platform.storage.workspace import Workspace


def test_runs_are_listed_by_state_with_figures_and_sizes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    write_finished_run(tmp_path, "done").sub("scores").write("test.parquet", bytes(3_000_000))
    write_checkpoint(Workspace(str(tmp_path)).run("half"), bytes(12_000_000))
    Workspace(str(tmp_path)).run("begun").write_json("science.json", {})
    write_finished_run(tmp_path, "broken").files.write("result.json", b'{"run"')
    list_runs(RunsListing(str(tmp_path)))
    lines = capsys.readouterr().out.splitlines()
    (done,) = (line for line in lines if "done " in line)
    for shown in ("films", "finished", "75.0%", "62.5%", "3.0 MB"):
        assert shown in done
    (half,) = (line for line in lines if "half " in line)
    assert "12 MB" in half
    states = [line.split()[1] for line in lines if line.startswith(("begun", "broken", "half"))]
    assert states == ["unfinished", "damaged", "unfinished"]
    assert lines[-1] == "On disk: runs 15 MB."
    (tmp_path / "ablations").mkdir()
    (tmp_path / "ablations" / "outcomes.jsonl").write_bytes(bytes(400_000))
    list_runs(RunsListing(str(tmp_path)))
    assert capsys.readouterr().out.splitlines()[-1] == "On disk: runs 15 MB, ablations 0.4 MB."


def test_the_list_fits_80_columns_with_a_line_for_each_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ["synthetic-phase1-0123456789", "synthetic-phase2-0123456789"]
    for name in names:
        write_finished_run(tmp_path, name, dataset="synthetic").files.write("a", bytes(10**7))
    begun = Workspace(str(tmp_path)).run("begun")
    begun.write_json("science.json", {})
    with begun.lock():
        list_runs(RunsListing(str(tmp_path)))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split()[:3] for line in lines if line.startswith(("begun", *names))]
    assert rows == [
        ["begun", "being", "trained"],
        *([name, "synthetic", "finished"] for name in names),
    ]


def test_a_run_that_is_being_trained_is_told_from_an_unfinished_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Workspace(str(tmp_path)).run("half")
    write_checkpoint(run, b"x")
    display = RunsDisplay(["half"], str(tmp_path))
    show_runs(display)
    with run.lock():
        show_runs(display)
    show_runs(display)
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("half: ")]
    state = "checkpoint epoch-00002"
    assert heads == [
        f"half: {each}, {state}" for each in ("unfinished", "being trained", "unfinished")
    ]


def test_a_workspace_without_runs_is_told_from_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"")
    list_runs(RunsListing(str(tmp_path)))
    assert capsys.readouterr().out == f"There are no runs in {tmp_path}.\n"
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"There is no workspace .*/file, or it is empty"):
        list_runs(RunsListing(workspace=str(tmp_path / "file")))
    with pytest.raises(InputError, match=r"There is no workspace .*/new, or it is empty: check"):
        list_runs(RunsListing(str(tmp_path / "new")))
    assert not (tmp_path / "new").exists()


def test_a_run_is_shown_with_its_networks_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(write_finished_run(tmp_path), bytes(2_000_000))
    show_runs(RunsDisplay(["first"], str(tmp_path)))
    shown = capsys.readouterr().out
    for line in (
        "first: finished",
        f"Folder   {tmp_path}/runs/first",
        "Data     films, protocol cross-view, selection val",
        "Model    none yet",
        "On disk  epoch-00002 2.0 MB, other files 0.0 MB",
    ):
        assert line in shown
    assert "│ fusion       │     - │     75.0% │      62.5% │" in shown
    assert "top-5" not in shown  # which this run does not have


def test_unknown_runs_are_refused_with_those_there_are(tmp_path: Path) -> None:
    write_finished_run(tmp_path)
    with pytest.raises(InputError, match=r"There is no run other in .*, which has first\."):
        show_runs(RunsDisplay(["other"], str(tmp_path)))
    with pytest.raises(InputError, match=r"--runs is missing: give .* has first\."):
        show_runs(RunsDisplay([], str(tmp_path)))
    with pytest.raises(InputError, match="cannot be used"):
        show_runs(RunsDisplay(["../first"], str(tmp_path)))


def test_sizes_are_of_all_files_by_their_place(tmp_path: Path) -> None:
    run = write_finished_run(tmp_path)
    run.sub("model").write("a", bytes(7))
    run.sub("model/deeper").write("b", bytes(5))
    sizes = ListedRun.read(run).sizes
    assert sizes["model"] == 12
    assert sizes["other files"] == len(run.files.read("result.json"))


@pytest.mark.parametrize(("size", "text"), [(0, "0.0 MB"), (9_940_000, "9.9 MB"), (10**7, "10 MB")])
def test_sizes_in_words(size: int, text: str) -> None:
    assert in_megabytes(size) == text
