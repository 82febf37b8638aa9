"""Access to MLflow: clients, locks on SQLite files, errors."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from hhmnet_core.errors import InputError
from hhmnet_platform.tracking.uri import database_of

SQLITE_WAIT_SECONDS = 60


def client_uri(uri: str) -> str:
    """The tracking URI, of a SQLite file with time to wait for another writer."""
    return uri if database_of(uri) is None else f"{uri}?timeout={SQLITE_WAIT_SECONDS}"


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """Keeps drivers that share a SQLite file from writing at once: it knows one writer."""
    database = database_of(uri)
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock", timeout=SQLITE_WAIT_SECONDS):
        yield


@contextmanager
def mlflow_errors(uri: str) -> Iterator[None]:
    """What goes wrong with MLflow inside is one InputError."""
    set_quiet_defaults()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, Timeout) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"MLflow at {uri} cannot be written ({said}).") from error


def set_quiet_defaults() -> None:
    """MLflow, unless told otherwise: no chatter, no reports home, no minutes of retries."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("alembic").setLevel(logging.ERROR)
