import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tracked import FILES, complete, history, tracked_run, written

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending


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
    tracker = BackgroundTracker(MlflowWriter(tracked_run(Path(folder), name)), said.append)
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
