"""Finished runs of a workspace, and what is said of those that are not."""

from pathlib import Path

import pytest
from finished_runs import write_finished_run

from hhmnet_core.errors import InputError
from hhmnet_platform.members import VIDEO
from hhmnet_platform.storage.finished_run import FinishedRun, check_run_names, finished_runs
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags


def test_run_is_read_with_its_result(tmp_path: Path) -> None:
    folder = write_finished_run(tmp_path)
    run = FinishedRun.read(folder)
    assert run.name == "first" and len(run.networks) == 4 and run.guide_name == ""
    assert run.checkpoint == f"{tmp_path}/runs/first/epoch-00002"


def test_guided_run_names_its_guide(tmp_path: Path) -> None:
    folder = write_finished_run(tmp_path, "second", phase="phase2", tags={tags.GUIDE: "first"})
    run = FinishedRun.read(folder)
    assert run.guide_name == "first" and run.networks == (VIDEO,)


def test_run_that_is_not_there_or_unfinished_is_refused(tmp_path: Path) -> None:
    folder = Workspace(str(tmp_path)).run("first")
    with pytest.raises(InputError, match=r"runs/first does not exist"):
        FinishedRun.read(folder)
    folder.write_json("science.json", {})
    with pytest.raises(InputError, match=r"is unfinished: it has no result\.json"):
        FinishedRun.read(folder)


def test_runs_are_returned_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_finished_run(tmp_path, name)
    runs = finished_runs(Workspace(str(tmp_path)), ["c", "a"])
    assert [run.name for run in runs] == ["c", "a"]


def test_missing_run_is_refused_with_those_that_are_finished(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(InputError, match=r"does not exist\. .* --workspace, which has none\."):
        finished_runs(workspace, ["a"])
    write_finished_run(tmp_path, "b")
    workspace.run("unfinished").write_json("science.json", {})
    with pytest.raises(InputError, match=r"unfinished is unfinished.* which has b\."):
        finished_runs(workspace, ["unfinished"])


def test_runs_of_two_protocols_are_refused(tmp_path: Path) -> None:
    write_finished_run(tmp_path, "a")
    write_finished_run(tmp_path, "b", protocol="cross-subject")
    with pytest.raises(InputError, match="b was trained by protocol cross-subject, a by cross-vi"):
        finished_runs(Workspace(str(tmp_path)), ["a", "b"])


@pytest.mark.parametrize(
    ("names", "message"),
    [([], "--runs is missing"), (["a", "b", "a"], "names a twice"), (["../a"], "cannot be used")],
)
def test_names_that_cannot_be_runs_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_run_names(names)
