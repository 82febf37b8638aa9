"""Ablations without Ray: their runs are trained one after the other, in this process."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hhmnet_platform.ablation import run as module
from hhmnet_platform.ablation.tune import OnEnd, Train
from hhmnet_platform.cluster.resources import Resources


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path) -> Path:
    """Return the folder of a workspace with an empty MLflow database."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Train runs in this process; the list gets the label of each."""
    trained: list[str] = []

    @contextmanager
    def session(**_: Any) -> Iterator[Resources]:
        yield Resources("this machine", ((2, 0),))

    def tune_runs(train: Train, tasks: list[Any], side_by_side: int, on_end: OnEnd) -> None:
        for task in tasks:
            trained.append(task.label)
            try:
                outcome = train(task)
            except RuntimeError as error:
                on_end(task, str(error))
            else:
                on_end(task, outcome)

    monkeypatch.setattr(module, "ray_session", session)
    monkeypatch.setattr(module, "tune_runs", tune_runs)
    return trained
