"""MLflow tracking URIs."""

import os
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from hhmnet_core.errors import InputError

# Those of MLflow itself; without one it is a folder.
TRACKING_SCHEMES = {
    *("", "file", "http", "https", "databricks", "databricks-uc", "uc"),
    *("postgresql", "mysql", "sqlite", "mssql"),
}


def default_tracking() -> str:
    """What $MLFLOW_TRACKING_URI names, as for every client of MLflow; else "", the workspace's."""
    return os.environ.get("MLFLOW_TRACKING_URI", "")


def check_tracking(uri: str) -> None:
    """Raises InputError for a URI of a kind that neither MLflow nor a plugin of it can track in."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    plugins = {entry.name for entry in entry_points(group="mlflow.tracking_store")}
    if scheme not in TRACKING_SCHEMES | plugins:
        raise InputError(
            f"MLflow cannot track at {uri}: expected the http:// or https:// address of a server, "
            "or a database such as sqlite:///FILE or postgresql://..., in --tracking_uri or "
            "$MLFLOW_TRACKING_URI."
        )


def database_of(uri: str) -> Path | None:
    """The SQLite file, where there is one and MLflow has been given no options of its own."""
    prefix = "sqlite:///"
    if uri.startswith(prefix) and "?" not in uri:
        return Path(uri.removeprefix(prefix)).absolute()
    return None
