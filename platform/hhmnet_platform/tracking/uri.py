"""MLflow tracking URIs, and the addresses of pages behind them."""

import os
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from hhmnet_core.errors import InputError

# MLflow's own; a URI without a scheme is a folder.
TRACKING_SCHEMES = {
    *("", "file", "http", "https", "databricks", "databricks-uc", "uc"),
    *("postgresql", "mysql", "sqlite", "mssql"),
}
_SQLITE, _SQLITE_ESCAPED = "sqlite:///", "sqlite+pysqlite:///"


def default_tracking() -> str:
    """Return $MLFLOW_TRACKING_URI, or "", which stands for the database in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI", "")


def check_tracking_scheme(uri: str) -> None:
    """Raise InputError for a URI that neither MLflow nor an installed plugin can track in."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    plugins = {entry.name for entry in entry_points(group="mlflow.tracking_store")}
    if scheme not in TRACKING_SCHEMES | plugins:
        raise InputError(
            f"MLflow cannot track at {uri}: expected the http:// or https:// address of a server, "
            "or a database such as sqlite:///FILE or postgresql://..., in --tracking_uri or "
            "$MLFLOW_TRACKING_URI."
        )


def sqlite_uri(path: str) -> str:
    """Return the URI of an SQLite file, in which % and ? are escaped: they stand for themselves."""
    escaped = path.replace("%", "%25").replace("?", "%3F")
    # Of a plain sqlite:/// MLflow makes the folder, and takes its escaped name for the real one.
    return f"{_SQLITE if escaped == path else _SQLITE_ESCAPED}{escaped}"


def database_of(uri: str) -> Path | None:
    """Return the SQLite file of a URI; None for other stores, and for a URI with options."""
    for prefix in (_SQLITE, _SQLITE_ESCAPED):
        if uri.startswith(prefix) and "?" not in uri:
            return Path(unquote(uri.removeprefix(prefix))).absolute()
    return None


def artifact_location(path: str) -> str:
    """Return a local folder as MLflow takes one for artifacts: it decodes % in a path too."""
    return f"file://{quote(path)}" if "%" in path else path


def experiment_page(experiment_id: str) -> str:
    """Return the path of an experiment's page behind the address of MLflow's web server."""
    return f"#/experiments/{experiment_id}/runs"


def run_page(experiment_id: str, run_id: str) -> str:
    """Return the path of a run's page behind the address of MLflow's web server."""
    return f"{experiment_page(experiment_id)}/{run_id}"
