"""Searches: what is refused, planned, and reported at the end."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from optuna.distributions import FloatDistribution
from video_files import write_video_store

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.training.optim import OptimConfig
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.search import run as module
from hhmnet_platform.search.config import Phase1Search, study_identity, trial_job
from hhmnet_platform.search.run import run_search
from hhmnet_platform.search.space import Dimension
from hhmnet_platform.search.storage import open_storage
from hhmnet_platform.search.study import open_study
from hhmnet_platform.storage.workspace import Workspace

SPACE = {"contrast.temperature": Dimension(0.1, 0.5)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "mine"}, "--name applies to a single run; a search has many. Use --study"),
        ({"study": "../mine"}, "cannot be used"),
        ({"data": DataConfig(selection="last_epoch")}, "selects on the validation split"),
        ({"space": {}}, "space is missing"),
        ({"workspace": "memory://bucket/w"}, "A search needs a local --workspace folder"),
        ({"tracking_uri": "file:///w/mlruns"}, "MLflow no longer tracks in a folder"),
    ],
)
def test_mistakes_are_refused_before_anything_starts(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    settings = {"workspace": str(tmp_path / "w"), "space": SPACE, "tracking_uri": "http://x"}
    with pytest.raises(InputError, match=message):
        run_search(Phase1Search(**settings | changes))
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize(("epochs", "shown"), [(None, 200), (7, 7)])
def test_dry_run_shows_the_epochs_of_a_trial_on_these_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], epochs: int | None, shown: int
) -> None:
    store = str(write_video_store(tmp_path / "store"))
    search = Phase1Search(
        data=DataConfig(store=store),
        workspace=str(tmp_path / "w"),
        space=SPACE,
        epochs=epochs,
        workers=1,
        dry_run=True,
    )
    assert run_search(search) == {}
    assert f", of 3 to {shown} epochs; a complete trial:" in capsys.readouterr().out


def test_finished_search_is_reported_again(
    tmp_path: Path,
    empty_database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    shutil.copy(empty_database, workspace / "mlflow.db")
    store = str(write_video_store(tmp_path / "store"))
    job = Phase1Search(
        data=DataConfig(store=store),
        optim=OptimConfig(epochs=4),
        workspace=str(workspace),
        study="mine",
        space=SPACE,
        trials=2,
    )
    first = resolve_run(trial_job(job, {}), Workspace(str(workspace)), store)
    path = workspace / "searches" / "mine"
    path.mkdir(parents=True)
    study = open_study("mine", open_storage("", path), study_identity(job, first), first.identity)
    for value in (0.5, 0.75):
        trial = study.ask({"contrast.temperature": FloatDistribution(0.1, 0.5)})
        for name, attribute in (("epochs", 4), ("seconds", 60.0), ("run", "some")):
            trial.set_user_attr(name, attribute)
        study.tell(trial, value)
    monkeypatch.setattr(module, "complete_tracking", lambda *_: None)
    assert run_search(job) == {**study.best_params, "optim.epochs": 4}
    output = capsys.readouterr().out
    assert "search mine: 2 trials are done already" in output
    assert "Best     val top-1 75.0%: contrast.temperature" in output
    assert "Cost     2:00 in 2 trials" in output
    assert f"hhmnet train phase1 --config {path}/best.yaml --workspace {workspace}" in output
    best = yaml.safe_load((path / "best.yaml").read_text())
    assert best["contrast"]["temperature"] == study.best_params["contrast.temperature"]
    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    experiment = client.get_experiment_by_name("films/cross-view")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics["best/val_top1"] == 0.75 and run.data.metrics["trials"] == 2
    assert run.data.params["space/contrast.temperature"] == "0.1 to 0.5"
    assert "by val top-1 of the fusion" in run.data.tags["mlflow.note.content"]
