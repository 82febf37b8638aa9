"""What the platform's tests share."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hhmnet_platform.tracking.client import new_client


@pytest.fixture
def wait() -> Callable[..., None]:
    """`wait(condition, what)`: until the condition is true."""

    def until(true: Callable[[], object], what: str, seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < ends, f"waited {seconds} s for {what}"
            time.sleep(0.02)

    return until


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database whose tables exist already: making them takes seconds."""
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    new_client(f"sqlite:///{database}").search_experiments()
    return database
