from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tracked import FILES, expected_losses, history, tracked_losses, tracked_run

from hhmnet_core.notices import StepProgress
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.tracking import background
from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending
from hhmnet_platform.tracking.uri import experiment_page


class FlakyWriter(MlflowWriter):
    """Writes to SQLite, but raises while `away` is set."""

    away: Exception | None = None

    def connect(self) -> None:
        self._check()
        super().connect()

    def write(self, history: Sequence[EpochRecord]) -> None:
        self._check()
        super().write(history)

    def _check(self) -> None:
        if self.away is not None:
            raise self.away


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.05)


def test_tracker_writes_what_was_missed_once_mlflow_is_back(
    folder: Path, wait: Callable[..., None]
) -> None:
    notices: list[str] = []
    writer = FlakyWriter(tracked_run(folder))
    writer.away = ConnectionError("nobody there\nand a second line")
    tracker = BackgroundTracker(writer, notices.append)
    for epochs in (1, 2, 3):
        tracker.update(history(epochs))
    wait(lambda: notices, "a notice")
    writer.away = None
    wait(lambda: len(notices) == 2, "MLflow's return")
    assert "cannot be written to (nobody there)" in notices[0] and "is up to date" in notices[1]
    tracker.update(history(4))
    assert tracker.finish(Ending("FINISHED", FILES))
    assert len(notices) == 2
    assert tracked_losses(writer.run) == expected_losses(4)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionError("HTTPConnectionPool: Max retries exceeded with url"), "no server answers"),
        (ValueError("x" * 300), "x" * 200),
        (KeyError(), "KeyError"),
    ],
)
def test_notice_gives_the_reason_in_one_short_line(
    folder: Path, error: Exception, reason: str
) -> None:
    notices: list[str] = []
    writer = FlakyWriter(tracked_run(folder))
    writer.away = error
    assert not BackgroundTracker(writer, notices.append).finish(Ending("FAILED", {}))
    (notice,) = notices
    assert notice.startswith(f"MLflow at {writer.run.uri} cannot be written to ({reason}). ")
    assert "\n" not in notice


def test_run_that_is_deleted_meanwhile_is_written_anew(
    folder: Path, wait: Callable[..., None]
) -> None:
    notices: list[str] = []
    writer = MlflowWriter(tracked_run(folder))
    tracker = BackgroundTracker(writer, notices.append)
    tracker.update(history(1))
    wait(lambda: writer.is_connected and tracked_losses(writer.run) == expected_losses(1), "MLflow")
    deleted = writer.run_ids["fusion"]
    MlflowClient(writer.run.uri).delete_run(deleted)
    tracker.update(history(2))
    wait(lambda: len(notices) == 2, "a run in its place")
    assert tracker.finish(Ending("FINISHED", FILES))
    assert tracked_losses(writer.run) == expected_losses(2)
    joint = MlflowClient(writer.run.uri).get_run(writer.run_ids["joint"])
    assert joint.data.tags["mlflow.parentRunId"] == writer.run_ids["fusion"] != deleted


def test_use_of_nodes_is_kept_while_mlflow_is_away(folder: Path, wait: Callable[..., None]) -> None:
    notices: list[str] = []
    writer = FlakyWriter(tracked_run(folder))
    writer.away = ConnectionError("nobody there")
    tracker = BackgroundTracker(writer, notices.append)
    tracker.add_usage(1, {"a": {"cpu_utilization_percentage": 50.0}, "b": {"gpu_0": 1.0}})
    wait(lambda: notices, "a notice")
    writer.away = None
    wait(lambda: len(notices) == 2, "MLflow's return")
    tracker.add_usage(2, {"a": {"cpu_utilization_percentage": 70.0}})
    assert tracker.finish(Ending("FINISHED", {}))
    client = MlflowClient(writer.run.uri)
    run_id = writer.run_ids["fusion"]
    points = client.get_metric_history(run_id, "system/a/cpu_utilization_percentage")
    assert sorted((each.step, each.value) for each in points) == [(1, 50.0), (2, 70.0)]
    assert client.get_run(run_id).data.metrics["system/b/gpu_0"] == 1.0


def test_tracker_gives_up_at_the_end_and_another_one_writes_all(folder: Path) -> None:
    notices: list[str] = []
    writer = FlakyWriter(tracked_run(folder))
    writer.away = ConnectionError("nobody there")
    tracker = BackgroundTracker(writer, notices.append)
    tracker.update(history(2))
    assert not tracker.finish(Ending("FINISHED", FILES))
    assert len(notices) == 1
    later = BackgroundTracker(MlflowWriter(writer.run), notices.append)
    later.update(history(2))
    assert later.finish(Ending("FINISHED", FILES))
    assert tracked_losses(writer.run) == expected_losses(2)


def test_other_run_of_the_same_name_is_reported_and_left_alone(
    folder: Path, wait: Callable[..., None]
) -> None:
    notices: list[str] = []
    before = tracked_run(folder)
    first = BackgroundTracker(MlflowWriter(before), notices.append)
    first.update(history(2))
    assert first.finish(Ending("FINISHED", FILES)) and not notices
    writer = MlflowWriter(tracked_run(folder, params={**before.params, "optim.lr": 0.2}))
    tracker = BackgroundTracker(writer, notices.append)
    tracker.update(history(3))
    wait(lambda: notices, "a notice")
    assert "holds a run toy-phase1-1 with another optim.lr: delete that run there" in notices[0]
    assert tracked_losses(before) == expected_losses(2)
    client = MlflowClient(before.uri)
    experiment = client.get_experiment_by_name(before.experiment)
    assert experiment is not None
    assert first.page == experiment_page(experiment.experiment_id)
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:  # as the notice asks
        client.delete_run(run.info.run_id)
    wait(lambda: len(notices) == 2, "MLflow's return")
    assert tracker.finish(Ending("FINISHED", FILES))
    assert tracked_losses(before) == expected_losses(3)


def test_steps_wait_for_mlflow_too(folder: Path, wait: Callable[..., None]) -> None:
    writer = FlakyWriter(tracked_run(folder))
    writer.away = ConnectionError("nobody there")
    notices: list[str] = []
    tracker = BackgroundTracker(writer, notices.append)
    for step in (10, 20):
        tracker.add_steps(StepProgress(1, step, 100, 2.0, 50.0, 1.0))
    wait(lambda: notices, "a notice")
    writer.away = None
    assert tracker.finish(Ending("FINISHED", {}))
    points = MlflowClient(writer.run.uri).get_metric_history(
        writer.run_ids["fusion"], "progress/loss"
    )
    assert sorted(point.step for point in points) == [10, 20]
