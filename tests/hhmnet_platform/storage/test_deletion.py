"""Runs that are deleted: their folders, and what MLflow holds of them."""

from pathlib import Path

import pytest
from finished_runs import write_finished_run
from mlflow import MlflowClient
from random_models import write_random_model
from tracked import FILES, history, tracked_run

from hhmnet_core.errors import InputError
from hhmnet_platform.storage.deletion import RunsDeletion, delete_runs
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the finished runs `first`, whose model is registered, and `second`."""
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "cache"))
    workspace = tmp_path / "workspace"
    for name in ("first", "second"):
        model = write_random_model(workspace / "runs" / name / "model", name=name)
        run = tracked_run(workspace, name)
        write_finished_run(workspace, name).write_json("science.json", dict(run.params))
        writer = MlflowWriter(run)
        writer.connect()
        writer.write(history(1))
        writer.finish(Ending("FINISHED", FILES, {}, model if name == "first" else ""))
    return workspace


def client_of(workspace: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")


def names_of(workspace: Path) -> set[str]:
    client = client_of(workspace)
    experiments = [each.experiment_id for each in client.search_experiments()]
    return {each.data.tags["hhmnet.run"] for each in client.search_runs(experiments)}


def parent_run_id(workspace: Path, name: str) -> str:
    client = client_of(workspace)
    experiments = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(experiments, f"tags.`hhmnet.run` = '{name}'")
    return next(run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags)


def job(workspace: Path, *runs: str, yes: bool = True) -> RunsDeletion:
    return RunsDeletion(list(runs), str(workspace), "", yes)


def test_a_run_goes_with_its_mlflow_runs_models_and_artifacts(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    artifacts = workspace / "mlartifacts"
    before = {path for path in artifacts.rglob("*") if path.is_file()}
    delete_runs(job(workspace, "first"))
    shown = capsys.readouterr().out
    assert "first (finished): " in shown and "MLflow: 5 runs, 1 model." in shown
    assert shown.endswith("Deleted first.\n")
    assert Workspace(str(workspace)).run_names() == ["second"]
    assert names_of(workspace) == {"second"}
    assert client_of(workspace).search_model_versions() == []
    left = {path for path in artifacts.rglob("*") if path.is_file()}
    assert len(left) == 5 * 2 and left < before  # the figures and notes of the other run
    assert not any(path.is_file() for path in (artifacts / "models").rglob("*"))
    with pytest.raises(InputError, match=r"There is no run first in .*, which has second\."):
        delete_runs(job(workspace, "first"))


def test_another_run_of_its_name_stays(workspace: Path) -> None:
    """As that of another workspace on the same server."""
    params = {"optim.lr": 0.2}
    other = tracked_run(workspace, "first", experiment="toy/other", params=params)
    writer = MlflowWriter(other)
    writer.connect()
    delete_runs(job(workspace, "first"))
    client = client_of(workspace)
    left = client.search_runs([writer.experiment_id])
    assert {run.info.run_id for run in left} == set(writer.run_ids.values())
    assert names_of(workspace) == {"first", "second"}


@pytest.mark.parametrize(("answer", "left"), [("y", ["second"]), ("", ["first", "second"])])
def test_it_asks_before_it_deletes(
    workspace: Path, answer: str, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer)
    delete_runs(job(workspace, "first", yes=False))
    assert Workspace(str(workspace)).run_names() == left
    assert names_of(workspace) == {*left}


def test_without_a_terminal_it_has_to_be_told(workspace: Path) -> None:
    with pytest.raises(InputError, match=r"nobody to ask whether to delete: give --yes\."):
        delete_runs(job(workspace, "first", yes=False))
    assert names_of(workspace) == {"first", "second"}


def test_a_run_in_use_is_refused(workspace: Path) -> None:
    run = Workspace(str(workspace)).run("first")
    with run.lock(), pytest.raises(InputError, match="first is being trained by another process"):
        delete_runs(job(workspace, "second", "first"))
    (version,) = client_of(workspace).search_model_versions()
    client_of(workspace).set_registered_model_alias(version.name, "champion", version.version)
    with pytest.raises(InputError, match=rf"first is {version.name}@champion: move the alias"):
        delete_runs(job(workspace, "second", "first"))
    assert names_of(workspace) == {"first", "second"}


def test_the_guide_of_an_unfinished_run_is_refused_without_it(workspace: Path) -> None:
    guided = Workspace(str(workspace)).run("guided")
    guided.write_config({"phase1": "second"})
    with pytest.raises(InputError, match="second guides guided, which is unfinished: finish"):
        delete_runs(job(workspace, "second"))
    guided.write_config({"phase1": f"{workspace}/runs/second/model/"})
    with pytest.raises(InputError, match="second guides guided, which is unfinished: finish"):
        delete_runs(job(workspace, "second"))
    for given in (
        "models:/hhmnet-toy/1", "RUN_ID", "runs:/RUN_ID", "runs:/RUN_ID/model",
    ):  # fmt: skip
        run_id = parent_run_id(workspace, "first")
        guided.write_config({"phase1": given.replace("RUN_ID", run_id)})
        with pytest.raises(InputError, match="first guides guided, which is unfinished: finish"):
            delete_runs(job(workspace, "first"))
    guided.write_config({"phase1": "models:/none/1"})
    with pytest.raises(InputError, match="so it is not known which run guides guided: delete"):
        delete_runs(job(workspace, "first"))
    guided.files.write("config.yaml", b"phase1: [")
    with pytest.raises(InputError, match=r"is damaged, .* which run guides guided: delete that"):
        delete_runs(job(workspace, "second"))
    delete_runs(job(workspace, "second", "guided"))
    assert Workspace(str(workspace)).run_names() == ["first"]


def test_a_folder_that_is_no_run_is_left(workspace: Path) -> None:
    (workspace / "runs" / "photos").mkdir()
    (workspace / "runs" / "photos" / "me.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"runs/photos is no run: it is left as it is\."):
        delete_runs(job(workspace, "first", "photos"))
    assert (workspace / "runs" / "photos" / "me.jpg").exists()
    assert names_of(workspace) == {"first", "second"}


def test_a_run_that_mlflow_does_not_know_is_deleted_too(tmp_path: Path) -> None:
    write_finished_run(tmp_path)
    delete_runs(job(tmp_path, "first"))
    assert Workspace(str(tmp_path)).run_names() == []
    assert not (tmp_path / "mlflow.db").exists()
