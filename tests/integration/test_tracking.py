"""Drivers of several processes that write to one MLflow database."""

import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
from tracked import FILES, expected_losses, history, tracked_losses, tracked_run

from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending

TRIALS, EPOCHS = 8, 8


def track_trial(folder: str, name: str, together: Any, outcomes: Any) -> None:
    """Be the driver of a trial that ends in the same moment as the others."""
    notices: list[str] = []
    tracker = BackgroundTracker(MlflowWriter(tracked_run(Path(folder), name)), notices.append)
    for epoch in range(1, EPOCHS + 1):
        tracker.update(history(epoch))
        time.sleep(0.05)
    together.wait(120)
    outcomes.put((name, tracker.finish(Ending("FINISHED", FILES)), notices))


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.slow
def test_trials_that_end_at_once_on_one_database_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mlflow", "sqlalchemy"])  # else each imports them for seconds
    together, outcomes = context.Barrier(TRIALS), context.Queue()
    names = [f"toy-{number}" for number in range(TRIALS)]
    drivers = [
        context.Process(target=track_trial, args=(str(tmp_path), name, together, outcomes))
        for name in names
    ]
    for driver in drivers:
        driver.start()
    ended = sorted(outcomes.get(timeout=400) for _ in drivers)
    for driver in drivers:
        driver.join(30)
    assert ended == [(name, True, []) for name in names]  # no "database is locked" on the way
    for name in names:
        assert tracked_losses(tracked_run(tmp_path, name)) == expected_losses(EPOCHS)
