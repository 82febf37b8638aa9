from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tracked import FILES, complete, history, tracked_run, written

from hhmnet_platform.tracking import background as module
from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending


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
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)


def test_tracker_writes_what_was_missed_as_soon_as_mlflow_is_back(
    tmp_path: Path, quick: None, wait: Callable[..., None]
) -> None:
    said: list[str] = []
    writer = FlakyWriter(tracked_run(tmp_path))
    writer.away = True
    tracker = BackgroundTracker(writer, said.append)
    for epochs in (1, 2, 3):
        tracker.update(history(epochs))
    wait(lambda: said, "a notice")
    writer.away = False
    wait(lambda: len(said) == 2, "MLflow's return")
    assert "cannot be written to (nobody there)" in said[0] and "is back" in said[1]
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
    tracker = BackgroundTracker(writer, said.append)
    tracker.update(history(2))
    assert not tracker.finish(Ending("FINISHED", FILES))
    assert len(said) == 1
    later = BackgroundTracker(MlflowWriter(writer.run), said.append)
    later.update(history(2))
    assert later.finish(Ending("FINISHED", FILES))
    assert written(writer.run) == complete(2)


def test_another_run_of_the_same_name_is_named_and_left_as_it_is(
    tmp_path: Path, quick: None, wait: Callable[..., None]
) -> None:
    said: list[str] = []
    before = tracked_run(tmp_path)
    first = BackgroundTracker(MlflowWriter(before), said.append)
    first.update(history(2))
    assert first.finish(Ending("FINISHED", FILES)) and not said
    writer = MlflowWriter(tracked_run(tmp_path, params={**before.params, "optim.lr": 0.2}))
    tracker = BackgroundTracker(writer, said.append)
    tracker.update(history(3))
    wait(lambda: said, "a notice")
    assert "holds a run toy-phase1-1 with another optim.lr: delete that run there" in said[0]
    assert written(before) == complete(2)
    client = MlflowClient(before.uri)
    runs = client.search_runs([first.page.split("/")[2]])
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:  # as the user was told
        client.delete_run(run.info.run_id)
    wait(lambda: len(said) == 2, "MLflow's return")
    assert tracker.finish(Ending("FINISHED", FILES))
    assert written(before) == complete(3)
