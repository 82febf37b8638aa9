"""Publishing: result, figures and MLflow, in this order, and where everything is."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from finished_runs import write_finished_run
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import FEATURE_DISABLED
from random_models import write_random_model

from hhmnet_core.fusion.metrics import is_correct
from hhmnet_core.fusion.scores import FUSION
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs import publish as publishing
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.publish import CHECKOUT, is_published, location_lines, publish
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.runs.result import ScoredRun, summarise
from hhmnet_platform.runs.run import Run
from hhmnet_platform.storage.checkpoints import TrainingPoint
from hhmnet_platform.storage.results import RunResult
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.derived_runs import DerivedRun, begin_derived_run
from hhmnet_platform.tracking.run_writer import MlflowWriter


@pytest.fixture
def run(
    store: Path, tmp_path: Path, write_tables: Callable[..., None], empty_database: Path
) -> Run:
    """A phase-1 run that has been trained, beside a database of MLflow."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    job = Phase1Job(data=DataConfig(store=str(store)), workspace=str(tmp_path))
    run = resolve_run(job, Workspace(str(tmp_path)), str(store))
    write_tables(run, *MODALITIES, FUSION)
    run.folder.write_config({"seed": 1})
    return run


def test_finished_run_has_figures_a_result_and_all_of_it_in_mlflow(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", run.tracked.uri)  # where `load_table` looks for runs
    run.folder.add_mesh(TrainingPoint(), 1, 2)
    history = [EpochRecord(1, 1.0, {name: {"train/loss": 2.0} for name in MODALITIES})]
    scored = ScoredRun.complete(run)
    result = summarise(scored, MeshPlan((2,), 2, False, 1), history)
    notices: list[str] = []
    publish(scored, result, BackgroundTracker(MlflowWriter(run.tracked), notices.append))
    assert notices == [] and run.folder.read_result() == result and run.folder.is_tracked
    figures = set(run.folder.sub("figures").names())
    assert {"joint-curves.png", "fusion-confusion-test.png", "bone-classes-test.png"} <= figures
    client = MlflowClient(run.tracked.uri)
    experiment = client.get_experiment_by_name("films/cross-view")
    assert experiment
    by_member = {
        each.data.tags["hhmnet.modality"]: each
        for each in client.search_runs([experiment.experiment_id])
    }
    assert set(by_member) == {*MODALITIES, FUSION}
    parent = by_member[FUSION]
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["hhmnet.layouts"] == "1 x 2 after epoch 0"
    names = {each.path for each in client.list_artifacts(parent.info.run_id)}
    assert {"config.yaml", "result.json", "figures", "scores", "errors.json"} <= names
    wrong = client.load_table(experiment.experiment_id, "errors.json", [parent.info.run_id])
    assert len(wrong) == (~is_correct(scored.tables[FUSION]["test"])).sum()
    note = parent.data.tags["mlflow.note.content"]
    assert f"| fusion, equal weights |  | {result.members[FUSION].val_top1:.1%} |" in note
    assert "errors.json" in by_member["joint"].data.tags["mlflow.note.content"]
    assert result.fitted
    weight = f"{result.fitted.weights['joint']:.4f}"
    assert parent.data.params["fitted/weight/joint"] == weight
    assert not [name for name in parent.data.metrics if name.startswith("fitted/weight")]
    scores = client.list_artifacts(by_member["joint"].info.run_id, "scores")
    assert {each.path for each in scores} == {"scores/val.parquet", "scores/test.parquet"}
    local = client.download_artifacts(parent.info.run_id, "result.json")
    assert json.loads(Path(local).read_text())["run"] == run.folder.name


def test_figure_that_fails_costs_neither_the_result_nor_the_others(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    history = [EpochRecord(1, 1.0, {name: {"train/loss": 2.0} for name in MODALITIES})]
    scored = ScoredRun.complete(run)
    result = summarise(scored, MeshPlan((2,), 2, False, 1), history)

    def fail(table: object) -> None:
        assert run.folder.read_result() == result  # it is written before any figure
        raise ValueError("no room")

    monkeypatch.setattr("hhmnet_platform.figures.run.confusion_matrix", fail)
    publish(scored, result, BackgroundTracker(MlflowWriter(run.tracked), pytest.fail))
    assert run.folder.is_tracked
    figures = set(run.folder.sub("figures").names())
    assert "joint-classes-test.png" in figures and "joint-confusion-test.png" not in figures
    assert "the figure joint-confusion-test.png could not be drawn" in capsys.readouterr().out


def summary_of(run: Run) -> tuple[ScoredRun, RunResult]:
    history = [EpochRecord(1, 1.0, {name: {"train/loss": 2.0} for name in MODALITIES})]
    scored = ScoredRun.complete(run)
    return scored, summarise(scored, MeshPlan((2,), 2, False, 1), history)


@pytest.fixture
def buildable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The run's model can be built."""
    made = Path(write_random_model(tmp_path / "made"))
    files = {path.name: path.read_bytes() for path in sorted(made.iterdir(), reverse=True)}
    monkeypatch.setattr(publishing, "run_model", lambda *_: files)


@pytest.mark.usefixtures("buildable")
def test_finished_run_has_its_model_in_mlflow_once(run: Run) -> None:
    scored, result = summary_of(run)
    for _ in range(2):
        publish(scored, result, BackgroundTracker(MlflowWriter(run.tracked), pytest.fail))
        assert is_published(run.folder)
    tracked = run.folder.read_json("tracked.json")
    assert tracked and tracked["model"] == "models:/hhmnet-toy/1"
    lines = location_lines(run.folder, run.tracked.uri, run.tracked.experiment)
    assert lines[1:3] == [f"Model    {run.folder.uri}/model", "Registry models:/hhmnet-toy/1"]
    client = MlflowClient(run.tracked.uri)
    assert [str(each.version) for each in client.search_model_versions()] == ["1"]


@pytest.mark.usefixtures("buildable")
def test_model_of_a_trial_is_logged_when_its_config_is_trained_by_itself(run: Run) -> None:
    scored, result = summary_of(run)
    search = DerivedRun(run.tracked.experiment, "search", {}, {}, {}, "", {})
    parent = begin_derived_run(run.tracked.uri, search, run.tracked.artifacts).run_id
    trial = replace(run, tracked=replace(run.tracked, parent=parent))
    as_trial = replace(scored, run=trial)
    publish(as_trial, result, BackgroundTracker(MlflowWriter(trial.tracked), pytest.fail))
    assert run.folder.is_tracked and not is_published(run.folder)
    client = MlflowClient(run.tracked.uri)
    assert list(client.search_registered_models()) == []
    publish(scored, result, BackgroundTracker(MlflowWriter(run.tracked), pytest.fail))
    assert is_published(run.folder)
    assert [str(each.version) for each in client.search_model_versions()] == ["1"]


@pytest.mark.usefixtures("buildable")
def test_registry_that_refuses_costs_a_note(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MlflowException("not here", error_code=FEATURE_DISABLED)

    monkeypatch.setattr(MlflowClient, "create_registered_model", refuse)
    scored, result = summary_of(run)
    publish(scored, result, BackgroundTracker(MlflowWriter(run.tracked), pytest.fail))
    assert is_published(run.folder)
    note = "note: MLflow holds the model, but did not register it (not here)."
    assert note in capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("buildable")
def test_registry_that_is_away_leaves_the_run_to_its_command(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MlflowException("API request failed")

    scored, result = summary_of(run)
    notices: list[str] = []
    with monkeypatch.context() as away:
        away.setattr(MlflowClient, "create_model_version", fail)
        publish(scored, result, BackgroundTracker(MlflowWriter(run.tracked), notices.append))
    assert "cannot be written to (API request failed)" in notices[0]
    assert run.folder.read_result() == result and not run.folder.is_tracked
    publish(scored, result, BackgroundTracker(MlflowWriter(run.tracked), pytest.fail))
    assert is_published(run.folder)


def test_run_of_before_models_is_published(tmp_path: Path) -> None:
    folder = write_finished_run(tmp_path)
    assert not is_published(folder)
    folder.write_json("tracked.json", {"uri": "", "page": ""})
    assert is_published(folder)


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("http://mlflow:5000/", "Open it  http://mlflow:5000/#/experiments/1/runs?compareRunsMode"),
        ("sqlite:////w/mlflow.db", "         then http://127.0.0.1:5000/#/experiments/1/runs?com"),
    ],
)
def test_lines_lead_to_files_and_mlflow(tmp_path: Path, uri: str, line: str) -> None:
    folder = write_finished_run(tmp_path)
    folder.write_json("tracked.json", {"uri": uri, "page": "#/experiments/1/runs"})
    lines = location_lines(folder, uri, "films/cross-view")
    assert lines[0] == f"Files    {folder.uri}"
    assert lines[1] == f"MLflow   {uri}, experiment films/cross-view, run first"
    assert lines[-1].startswith(line)
    if uri.startswith("sqlite"):
        assert lines[2].startswith(f"Open it  make ui WORKSPACE={tmp_path}, or: mlflow ui")


def test_command_that_opens_mlflow_fits_the_folder_it_is_typed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_finished_run(tmp_path / "workspace")
    folder.write_json("tracked.json", {"uri": "", "page": "#/experiments/1/runs"})

    def command() -> str:
        line = location_lines(folder, "sqlite:////w/mlflow.db", "films/cross-view")[2]
        return line.removeprefix("Open it  ").partition(", or: ")[0]

    monkeypatch.delenv("HHMNET_WORKSPACE", raising=False)
    monkeypatch.chdir(CHECKOUT)
    assert command() == f"make ui WORKSPACE={tmp_path}/workspace"
    monkeypatch.chdir(tmp_path / "workspace")
    assert command() == f"hhmnet ui --workspace {tmp_path}/workspace"
    monkeypatch.chdir(tmp_path)
    assert command() == "hhmnet ui"


def test_run_that_mlflow_lacks_is_named_with_the_way_out(tmp_path: Path) -> None:
    folder = write_finished_run(tmp_path)
    _, line = location_lines(folder, "http://mlflow:5000", "films/cross-view")
    assert "is incomplete for this run: give the same command again" in line


def test_lines_show_no_password_and_can_be_pasted(tmp_path: Path) -> None:
    folder = write_finished_run(tmp_path / "a&b")
    folder.write_json("tracked.json", {"uri": "", "page": "#/experiments/1/runs"})
    lines = location_lines(folder, "http://me:secret@mlflow:5000", "films/cross-view")
    assert lines[-1].startswith("Open it  http://mlflow:5000/#/experiments/1")
    assert "secret" not in "".join(lines)
    command = location_lines(folder, f"sqlite:///{tmp_path}/a&b/mlflow.db", "films/cross-view")[2]
    assert f"make ui WORKSPACE='{tmp_path}/a&b', or" in command
    assert f"--backend-store-uri 'sqlite:///{tmp_path}/a&b/mlflow.db'" in command
