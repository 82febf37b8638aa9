"""An MLflow database whose tables exist already: making them takes seconds."""

import shutil
from pathlib import Path

import pytest

from hhmnet_platform.tracking.client import new_client


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    new_client(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def folder(tmp_path: Path, empty_database: Path) -> Path:
    """Return a folder that holds an empty mlflow.db."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def uri(folder: Path) -> str:
    """Return the tracking URI of an empty database."""
    return f"sqlite:///{folder / 'mlflow.db'}"
