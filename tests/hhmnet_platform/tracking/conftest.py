"""Folders with an empty MLflow database."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, empty_database: Path) -> Path:
    """Return a folder that holds an empty mlflow.db."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def uri(folder: Path) -> str:
    """Return the tracking URI of an empty database."""
    return f"sqlite:///{folder / 'mlflow.db'}"
