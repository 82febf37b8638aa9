"""Artifacts of MLflow runs: files by their path within the run."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hhmnet_core.passwords import without_password
from hhmnet_platform.tracking.client import new_client

if TYPE_CHECKING:
    from mlflow import MlflowClient


def upload(client: "MlflowClient", run_id: str, files: Mapping[str, bytes]) -> None:
    """Write the artifacts of a run.

    Args:
        client: Client of MLflow.
        run_id: MLflow id of the run.
        files: Contents by artifact path.
    """
    if not files:
        return
    with TemporaryDirectory() as folder:
        for path, content in files.items():
            local = Path(folder, path)
            local.parent.mkdir(parents=True, exist_ok=True)
            local.write_bytes(content)
        client.log_artifacts(run_id, folder)


def download(uri: str, run_id: str, path: str, folder: str) -> Path:
    """Copy an artifact, or a folder of artifacts, into a local folder; return the copy.

    Args:
        uri: MLflow tracking URI.
        run_id: MLflow id of the run.
        path: Path of the artifact within the run.
        folder: Local folder that exists.

    Raises OSError where MLflow has no such artifact or cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    try:
        return Path(new_client(uri).download_artifacts(run_id, path, folder))
    except MlflowException as error:
        shown = f"MLflow at {uri} has no readable {path} of run {run_id}: {error}"
        raise OSError(without_password(shown)) from error


def holds_artifact(uri: str, run_id: str, path: str) -> bool:
    """Return whether a run has an artifact, or a folder of artifacts that is not empty.

    Args:
        uri: MLflow tracking URI.
        run_id: MLflow id of the run.
        path: Path of the artifact within the run.
    """
    from mlflow.exceptions import MlflowException

    try:
        return bool(new_client(uri).list_artifacts(run_id, path))
    except (MlflowException, OSError):
        return False
