"""Trials as runs: values reach the phase, epochs reach Tune, MLflow gets what it missed."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from finished_runs import write_finished_run
from ray import tune
from video_files import write_video_store

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.training.checkpoints import CheckpointSummary
from hhmnet_core.training.records import EpochRecord, Progress
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.runs.run import Run
from hhmnet_platform.search import trials
from hhmnet_platform.search.config import Phase1Search, trial_job
from hhmnet_platform.search.space import Dimension
from hhmnet_platform.search.trials import complete_tracking, run_trial
from hhmnet_platform.storage.workspace import Workspace

VALUES = {"contrast.temperature": 0.3}
PLAN = MeshPlan((1,), None, False, 1)


@pytest.fixture
def search(tmp_path: Path) -> Phase1Search:
    return Phase1Search(
        data=DataConfig(store=str(write_video_store(tmp_path / "store"))),
        workspace=str(tmp_path / "workspace"),
        study="mine",
        space={"contrast.temperature": Dimension(0.1, 0.5)},
    )


def run_of(search: Phase1Search) -> Run:
    job = trial_job(search, VALUES)
    return resolve_run(job, Workspace(search.workspace), job.data.store)


def test_trial_reports_its_objective_epoch_by_epoch(
    search: Phase1Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Run] = []
    reports: list[dict[str, Any]] = []

    def train(job: Any, run: Run, plan: MeshPlan, on_epoch: Any) -> None:
        started.append(run)
        for epoch in (1, 2):
            on_epoch(EpochRecord(epoch, 1.0, {"fusion": {"val/top1": 0.25 * epoch}}))

    monkeypatch.setattr(trials, "train_run", train)
    monkeypatch.setattr(tune, "report", reports.append)
    run_trial(VALUES, search, PLAN, parent="id-of-search")
    (run,) = started
    assert run.config.contrast.temperature == 0.3  # type: ignore[union-attr]
    assert (run.tracked.parent, run.tracked.title) == ("id-of-search", "contrast.temperature 0.3")
    assert run.tracked.tags["hhmnet.search"] == "mine"
    name = run.folder.name
    assert reports == [
        {"val_top1": 0.25, "epoch": 1, "run": name}, {"val_top1": 0.5, "epoch": 2, "run": name},
    ]  # fmt: skip


@dataclass
class Writer:
    """What is written to MLflow of a stopped trial."""

    calls: list[Any]

    def __call__(self, tracked: Any) -> "Writer":
        return self

    def connect(self) -> None:
        self.calls.append("connect")

    def write(self, history: list[EpochRecord]) -> None:
        self.calls.append([record.epoch for record in history])

    def finish(self, ending: Any) -> None:
        self.calls.append(ending.status)


def study_of(*values: dict[str, float]) -> Any:
    state = SimpleNamespace(name="COMPLETE")
    all_trials = [SimpleNamespace(params=each, state=state) for each in values]
    return SimpleNamespace(get_trials=lambda deepcopy: all_trials)


def test_stopped_trial_is_written_from_its_newest_readable_checkpoint(
    search: Phase1Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, calls = run_of(search), list[Any]()
    summary = CheckpointSummary("phase1", {}, "digest", Progress([EpochRecord(1, 1.0, {})]))
    run.folder.sub("epoch-00001").write("state.json", summary.to_json().encode())
    run.folder.sub("epoch-00002").write("state.json", b'{"histo')  # it was being written
    monkeypatch.setattr(trials, "MlflowWriter", Writer(calls))
    complete_tracking(search, study_of(VALUES), "id-of-search")
    assert calls == ["connect", [1], "KILLED"]


def test_finished_trials_are_published_if_mlflow_lacks_them(
    search: Phase1Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[str] = []
    folder = write_finished_run(Path(search.workspace), run_of(search).folder.name)
    monkeypatch.setattr(trials, "MlflowWriter", lambda tracked: None)
    monkeypatch.setattr(trials, "BackgroundTracker", lambda writer, notify: None)
    monkeypatch.setattr(trials.ScoredRun, "read", lambda run: run)
    monkeypatch.setattr(trials, "publish", lambda run, *_: published.append(run.folder.name))
    complete_tracking(search, study_of(VALUES), "id-of-search")
    assert published == [folder.name]
    folder.write_json("tracked.json", {"page": ""})
    complete_tracking(search, study_of(VALUES), "id-of-search")
    assert published == [folder.name]
