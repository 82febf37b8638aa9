"""Clients of MLflow: quiet defaults, one writer at a time on SQLite, one kind of error."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from hhmnet_core.disk_space import free_space, is_disk_full
from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line
from hhmnet_platform.tracking.moved_artifacts import follow_move
from hhmnet_platform.tracking.uri import database_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE_WAIT_SECONDS = 60
LONGEST_REASON = 200  # characters of an error of MLflow that a message quotes
QUIET_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # MLflow's own seven take minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else uv's files of the current folder go into models
}


@contextmanager
def open_for_reading(uri: str) -> Iterator["MlflowClient"]:
    """Yield a client. Raises InputError where MLflow cannot answer."""
    with mlflow_errors(uri, "cannot answer"):
        yield new_client(uri)


@contextmanager
def open_for_writing(uri: str) -> Iterator["MlflowClient"]:
    """Yield a client; no other driver writes meanwhile. Raises InputError where MLflow fails."""
    with mlflow_errors(uri), exclusive_client(uri) as client:
        yield client


@contextmanager
def exclusive_client(uri: str) -> Iterator["MlflowClient"]:
    """Yield a client as `open_for_writing` does, but raise MLflow's own errors."""
    _set_quiet_defaults()
    import mlflow  # noqa: F401  # before the lock: the import takes seconds

    with exclusive(uri):
        yield new_client(uri)


def new_client(uri: str) -> "MlflowClient":
    """Return a client that reports nothing, fails fast, and waits for other writers of SQLite."""
    _set_quiet_defaults()
    from mlflow import MlflowClient

    database = database_of(uri)
    if database is None:
        return MlflowClient(uri)
    follow_move(database)
    return MlflowClient(f"{uri}?timeout={SQLITE_WAIT_SECONDS}")


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """Keep drivers that share an SQLite file from writing at once: SQLite allows one writer."""
    database = database_of(uri)
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock", timeout=SQLITE_WAIT_SECONDS):
        yield


@contextmanager
def mlflow_errors(uri: str, failure: str = "cannot be written to") -> Iterator[None]:
    """Convert MLflow's errors in the block to InputError.

    Args:
        uri: MLflow tracking URI, for the message.
        failure: Description of the failure, for the message.
    """
    _set_quiet_defaults()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, Timeout) as error:
        raise InputError(f"MLflow at {uri} {failure} ({reason_of(error, uri)}).") from error


def reason_of(error: BaseException, uri: str) -> str:
    """Return why MLflow failed, in one line; for a full disk, what is free on the database's."""
    database = database_of(uri)
    if database is not None and is_disk_full(error):
        return f"the disk is full: {free_space(database)}"
    return one_line(error)[:LONGEST_REASON] or type(error).__name__


def _set_quiet_defaults() -> None:
    """Set MLflow's environment variables, unless the user has, before it is imported."""
    for name, value in QUIET_DEFAULTS.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    # It logs the whole traceback of an error that it raises.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
