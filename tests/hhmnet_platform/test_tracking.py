import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform import tracking
from hhmnet_platform.tracking import Ending, MlflowWriter, TrackedRun, Tracker

MEMBERS = (*MODALITIES, "fusion")
FILES = {member: {"figures/curves.png": b"png", "note.txt": b"x"} for member in MEMBERS}


def tracked_run(folder: Path, name: str = "toy-phase1-1", **changed: Any) -> TrackedRun:
    fields: dict[str, Any] = {
        "uri": f"sqlite:///{folder / 'mlflow.db'}",
        "experiment": "toy/cross-view",
        "artifacts": str(folder / "mlartifacts"),
        "name": name,
        "members": MEMBERS,
        "params": {"optim.lr": 0.1, "model.widths": [1, 2], "note": "x" * 500},
        "tags": {"hhmnet.phase": "phase1", "hhmnet.data_digest": "d" * 64},
        "dataset": "toy",
        "digest": "d" * 64,
        "store": str(folder / "store"),
    }
    return TrackedRun(**(fields | changed))


def history(epochs: int, seconds: float = 1.5) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "seconds": seconds,
            "metrics": {
                member: {"train/loss": 1 / epoch, "val/top1": epoch / 100} for member in MEMBERS
            },
        }
        for epoch in range(1, epochs + 1)
    ]


def written(run: TrackedRun) -> dict[str, list[tuple[int, float]]]:
    """Steps and losses by modality; fails on a second run of any."""
    client = MlflowClient(run.uri)
    experiment = client.get_experiment_by_name(run.experiment)
    assert experiment is not None
    found: dict[str, list[tuple[int, float]]] = {}
    for one in client.search_runs([experiment.experiment_id]):
        if one.data.tags["hhmnet.run"] == run.name:
            member = one.data.tags["hhmnet.modality"]
            assert member not in found, f"two runs of {member}"
            points = client.get_metric_history(one.info.run_id, "train/loss")
            found[member] = sorted((point.step, point.value) for point in points)
    return found


def complete(epochs: int) -> dict[str, list[tuple[int, float]]]:
    return {member: [(e, 1 / e) for e in range(1, epochs + 1)] for member in MEMBERS}


def test_writer_goes_on_after_a_restart_without_doubles(tmp_path: Path) -> None:
    run = tracked_run(tmp_path)
    first = MlflowWriter(run)
    first.connect()
    first.write(history(2))
    first.write(history(3))
    again = MlflowWriter(run)
    again.connect()
    assert again.run_ids == first.run_ids
    again.write(history(5, seconds=9.9))  # an epoch trained again takes another time
    assert written(run) == complete(5)


def test_writer_catches_up_with_more_than_one_batch(tmp_path: Path) -> None:
    run = tracked_run(tmp_path)
    writer = MlflowWriter(run)
    writer.connect()
    writer.write(history(600))
    assert written(run) == complete(600)


def test_runs_say_what_they_are(tmp_path: Path) -> None:
    run = tracked_run(tmp_path)
    writer = MlflowWriter(run)
    writer.connect()
    writer.write(history(1))
    writer.finish(Ending("FINISHED", FILES))
    client = MlflowClient(run.uri)
    parent = client.get_run(writer.run_ids["fusion"])
    assert parent.info.run_name == "toy-phase1-1"
    for modality in MODALITIES:
        child = client.get_run(writer.run_ids[modality])
        assert child.info.run_name == f"{modality} · toy-phase1-1"
        assert child.info.status == "FINISHED"
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags["hhmnet.data_digest"] == "d" * 64
        assert child.data.params["model.widths"] == "[1, 2]"
        used = child.inputs.dataset_inputs
        assert [(one.dataset.name, len(one.dataset.digest)) for one in used] == [("toy", 12)]
        names = {file.path for file in client.list_artifacts(child.info.run_id)}
        assert names == {"figures", "note.txt"}


def test_finished_run_that_goes_on_runs_again(tmp_path: Path) -> None:
    run = tracked_run(tmp_path)
    for status in ("KILLED", "FINISHED"):
        writer = MlflowWriter(run)
        writer.connect()
        client = MlflowClient(run.uri)
        assert client.get_run(writer.run_ids["joint"]).info.status == "RUNNING"
        writer.finish(Ending(status, {}))
        assert client.get_run(writer.run_ids["joint"]).info.status == status


TRIALS, EPOCHS = 8, 8


def _be_a_trial(folder: str, name: str, together: Any, quiet: Any) -> None:
    """A driver of a search, that ends in the same moment as the others."""
    said: list[str] = []
    tracker = Tracker(MlflowWriter(tracked_run(Path(folder), name)), said.append)
    for epoch in range(1, EPOCHS + 1):
        tracker.update(history(epoch))
        time.sleep(0.05)
    together.wait(120)
    quiet.put((name, tracker.finish(Ending("FINISHED", FILES)), said))


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_trials_that_end_at_once_on_one_database_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together, quiet = context.Barrier(TRIALS), context.Queue()
    names = [f"toy-{number}" for number in range(TRIALS)]
    drivers = [
        context.Process(target=_be_a_trial, args=(str(tmp_path), name, together, quiet))
        for name in names
    ]
    for driver in drivers:
        driver.start()
    ends = sorted(quiet.get(timeout=400) for _ in drivers)
    for driver in drivers:
        driver.join(30)
    assert ends == [(name, True, []) for name in names]  # no "database is locked" on the way
    for name in names:
        assert written(tracked_run(tmp_path, name)) == complete(EPOCHS)


class FlakyWriter(MlflowWriter):
    """Writes to SQLite, but raises while `away`."""

    away = False

    def connect(self) -> None:
        self._check()
        super().connect()

    def write(self, history: Any) -> None:
        self._check()
        super().write(history)

    def _check(self) -> None:
        if self.away:
            raise ConnectionError("nobody there\nand a second line")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "RETRY_SECONDS", 0.05)


def test_tracker_writes_what_was_missed_as_soon_as_mlflow_is_back(
    tmp_path: Path, quick: None, wait: Callable[..., None]
) -> None:
    said: list[str] = []
    writer = FlakyWriter(tracked_run(tmp_path))
    writer.away = True
    tracker = Tracker(writer, said.append)
    for epochs in (1, 2, 3):
        tracker.update(history(epochs))
    wait(lambda: said, "a notice")
    writer.away = False
    wait(lambda: len(said) == 2, "MLflow's return")
    assert "cannot be written (nobody there)" in said[0] and "is back" in said[1]
    tracker.update(history(4))
    assert tracker.finish(Ending("FINISHED", FILES))
    assert len(said) == 2
    assert written(writer.run) == complete(4)


def test_tracker_gives_up_at_the_end_and_another_one_writes_all(
    tmp_path: Path, quick: None
) -> None:
    said: list[str] = []
    writer = FlakyWriter(tracked_run(tmp_path))
    writer.away = True
    tracker = Tracker(writer, said.append)
    tracker.update(history(2))
    assert not tracker.finish(Ending("FINISHED", FILES))
    assert len(said) == 1
    later = Tracker(MlflowWriter(writer.run), said.append)
    later.update(history(2))
    assert later.finish(Ending("FINISHED", FILES))
    assert written(writer.run) == complete(2)
