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
_BARE_WORDS = ("databricks", "databricks-uc", "uc")  # tracking URIs as they are
# MLflow's pages take their view from the address, else from the browser, which begins with GenAI.
TRAINING_VIEW = "workflowType=machine_learning"
_SQLITE, _SQLITE_ESCAPED = "sqlite:///", "sqlite+pysqlite:///"


def default_tracking() -> str:
    """Return $MLFLOW_TRACKING_URI, or "", which stands for the database in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI", "")


def check_tracking_scheme(uri: str) -> None:
    """Raise InputError for a URI that neither MLflow nor an installed plugin can track in."""
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in ("", "file") and uri not in _BARE_WORDS and not _may_use_folders():
        raise InputError(
            f"MLflow no longer tracks in a folder, but the tracking URI is {uri}: give "
            "--tracking_uri or $MLFLOW_TRACKING_URI a database, such as sqlite:///FILE, or the "
            "http:// address of a server; --tracking_uri= (empty) is the database in the workspace."
            " To keep the runs of the folder: `mlflow migrate-filestore --source FOLDER --target "
            "sqlite:///FILE`."
        )
    plugins = {entry.name for entry in entry_points(group="mlflow.tracking_store")}
    if scheme not in TRACKING_SCHEMES | plugins:
        raise InputError(
            f"MLflow cannot track at {uri}: expected the http:// or https:// address of a server, "
            "or a database such as sqlite:///FILE or postgresql://..., in --tracking_uri or "
            "$MLFLOW_TRACKING_URI."
        )


def _may_use_folders() -> bool:
    """Return whether MLflow's own switch for folders, which it no longer maintains, is on."""
    return os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1")


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
    return f"#/experiments/{experiment_id}/runs?{TRAINING_VIEW}"


def run_page(experiment_id: str, run_id: str) -> str:
    """Return the path of a run's page behind the address of MLflow's web server."""
    return f"#/experiments/{experiment_id}/runs/{run_id}?{TRAINING_VIEW}"


def with_options(page: str, options: str) -> str:
    """Return the path of a page with further options; pages of earlier versions have none."""
    return f"{page}{'&' if '?' in page else '?'}{options}"
