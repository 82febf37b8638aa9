"""A workspace that was moved, copied or linked keeps its artifacts in MLflow."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from mlflow.utils.file_utils import local_file_uri_to_path
from random_models import write_random_model
from tracked import FILES, tracked_run

from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking.artifacts import download
from hhmnet_platform.tracking.client import new_client
from hhmnet_platform.tracking.moved_artifacts import follow_move
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path) -> Path:
    folder = tmp_path / "first"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


def track(folder: Path, name: str = "toy-phase1-1", model: str = "") -> str:
    """Write a run, and return its MLflow id."""
    place = Workspace(str(folder))
    uri, artifacts = place.tracking_uri(""), place.artifacts("")
    writer = MlflowWriter(tracked_run(folder, name, uri=uri, artifacts=artifacts))
    writer.connect()
    writer.finish(Ending("FINISHED", FILES, model=model))
    return writer.run_ids["joint"]


def note_of(folder: Path, run_id: str, to: Path) -> bytes:
    to.mkdir()
    uri = Workspace(str(folder)).tracking_uri("")
    return download(uri, run_id, "note.txt", str(to)).read_bytes()


@pytest.mark.parametrize("name", ["second", "100%41?x=1 ü", "first and more"])
def test_moved_workspace_keeps_files_and_models(workspace: Path, tmp_path: Path, name: str) -> None:
    run_id = track(workspace, model=write_random_model(tmp_path / "model"))
    moved = tmp_path / name
    workspace.rename(moved)
    assert note_of(moved, run_id, tmp_path / "got") == b"x"
    client = new_client(Workspace(str(moved)).tracking_uri(""))
    version = client.get_model_version("hhmnet-toy", "1")
    experiment = client.get_experiment_by_name("toy/cross-view")
    assert experiment
    (logged,) = client.search_logged_models([experiment.experiment_id])
    assert str(version.source) == str(logged.artifact_location)
    assert Path(local_file_uri_to_path(logged.artifact_location), "MLmodel").exists()
    track(moved, "another")
    assert not workspace.exists()  # where MLflow would have made it again
    back = moved.rename(workspace)
    assert note_of(back, run_id, tmp_path / "again") == b"x"


def test_copied_workspace_writes_to_its_own_folder(workspace: Path, tmp_path: Path) -> None:
    track(workspace)
    before = {path.name for path in (workspace / "mlartifacts").iterdir()}
    copy = tmp_path / "copy"
    shutil.copytree(workspace, copy)
    run_id = track(copy, "of the copy")
    assert (copy / "mlartifacts" / run_id / "artifacts" / "note.txt").exists()
    assert {path.name for path in (workspace / "mlartifacts").iterdir()} == before


def test_workspace_behind_a_link_is_left_as_it_is(workspace: Path, tmp_path: Path) -> None:
    run_id = track(workspace)
    link = tmp_path / "link"
    link.symlink_to(workspace)
    before = (workspace / "mlflow.db").read_bytes()
    follow_move(link / "mlflow.db")
    assert (workspace / "mlflow.db").read_bytes() == before
    assert note_of(link, run_id, tmp_path / "got") == b"x"


def test_database_beside_the_artifacts_of_others_is_left_as_it_is(
    workspace: Path, tmp_path: Path
) -> None:
    track(workspace)
    other = tmp_path / "other"
    (other / "mlartifacts" / "somebody else's").mkdir(parents=True)
    shutil.copy(workspace / "mlflow.db", other)
    before = (other / "mlflow.db").read_bytes()
    follow_move(other / "mlflow.db")
    assert (other / "mlflow.db").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no database" * 99])
def test_file_that_mlflow_has_to_report_is_left_to_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mlartifacts").mkdir()
    database = tmp_path / "mlflow.db"
    database.write_bytes(content)
    follow_move(database)
    assert database.read_bytes() == content


def test_nothing_is_made_where_there_is_no_database(tmp_path: Path) -> None:
    follow_move(tmp_path / "mlflow.db")
    assert list(tmp_path.iterdir()) == []


def test_other_experiments_keep_their_places(workspace: Path) -> None:
    track(workspace)
    client = new_client(f"sqlite:///{workspace / 'mlflow.db'}")
    client.create_experiment("elsewhere", "s3://bucket/runs")
    moved = workspace.rename(workspace.parent / "moved")
    follow_move(moved / "mlflow.db")
    with sqlite3.connect(moved / "mlflow.db") as connection:
        rows = connection.execute("SELECT name, artifact_location FROM experiments").fetchall()
    assert dict(rows)["elsewhere"] == "s3://bucket/runs"
    assert dict(rows)["toy/cross-view"] == str(moved / "mlartifacts")
