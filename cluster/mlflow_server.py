"""The MLflow server of a cluster's head: on loopback, behind a password, its database kept safe.

    python cluster/mlflow_server.py

It serves at MLFLOW_TRACKING_URI until it is stopped. The password of its user `admin` is made at
the first start and lies in ~/.mlflow/credentials, where MLflow's own clients look. Artifacts go to
HHMNET_WORKSPACE. The database is a SQLite file of this machine, copied to the workspace every ten
minutes and at the end, and taken from there by a head that has none; with
HHMNET_MLFLOW_DATABASE=postgresql://... it is a database that somebody else keeps safe.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.passwords import without_password
from hhmnet_platform.scripts.entry import run_script
from hhmnet_platform.storage.workspace import default_workspace
from hhmnet_platform.tracking.server import BASIC_AUTH, SERVER_ENVIRONMENT, auth_environment
from hhmnet_platform.tracking.uri import database_of, sqlite_uri

STATE = Path("~/.hhmnet/mlflow").expanduser()
CREDENTIALS = Path("~/.mlflow/credentials").expanduser()
BACKUP = "mlflow.db"
BACKUP_SECONDS = 600.0
LOOPBACK = ("127.0.0.1", "localhost")


def main() -> None:
    os.umask(0o077)
    STATE.mkdir(parents=True, exist_ok=True)
    workspace = default_workspace()
    database = os.environ.get("HHMNET_MLFLOW_DATABASE") or sqlite_uri(str(STATE / BACKUP))
    file = database_of(database)
    if file:
        restore(file, workspace)
    environment = SERVER_ENVIRONMENT | auth_environment(CREDENTIALS) | places(database, workspace)
    server = subprocess.Popen(command(), env=os.environ | environment, cwd=STATE)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    since = 0.0
    while server.poll() is None and not stopped.wait(1.0):
        since += 1.0
        if file and since >= BACKUP_SECONDS:
            since = 0.0
            try_backup(file, workspace)
    ended = server.poll()
    server.terminate()
    server.wait()
    if file:
        try_backup(file, workspace)
    if ended is not None:
        raise InputError(f"MLflow's server ended by itself with {ended}: it says above why.")


def command() -> list[str]:
    """Of the server. Raises InputError where it would listen beyond loopback."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    at = urlsplit(uri)
    if at.scheme != "http" or at.hostname not in LOOPBACK or not at.port:
        raise InputError(
            f"MLFLOW_TRACKING_URI={uri}: this server listens on loopback alone, expected "
            "http://127.0.0.1:PORT. Reach it from elsewhere by an ssh tunnel."
        )
    return [
        *(sys.executable, "-m", "mlflow", "server", *BASIC_AUTH),
        *("--host", at.hostname, "--port", str(at.port), "--workers", "2"),
    ]


def places(database: str, workspace: str) -> dict[str, str]:
    """Where MLflow keeps what it holds; not as options, which other users can see."""
    return {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_ARTIFACTS_DESTINATION": f"{workspace.rstrip('/')}/mlartifacts",
    }


def restore(file: Path, workspace: str) -> None:
    """Takes the database from the workspace, on a machine that has none."""
    place = folder(f"{workspace.rstrip('/')}/mlflow")
    if file.exists() or BACKUP not in place.names():
        return
    part = file.with_suffix(".part")
    part.write_bytes(place.read(BACKUP))
    part.rename(file)
    print(f"took MLflow's database from {place.uri}", flush=True)


def try_backup(file: Path, workspace: str) -> None:
    """Copies the database, as it is between two transactions, to the workspace."""
    if not file.exists():
        return
    try:
        with tempfile.TemporaryDirectory(dir=file.parent) as elsewhere:
            copy = Path(elsewhere, BACKUP)
            with closing(sqlite3.connect(file)) as live, closing(sqlite3.connect(copy)) as target:
                live.backup(target)
            folder(f"{workspace.rstrip('/')}/mlflow").write(BACKUP, copy.read_bytes())
    except (InputError, OSError, sqlite3.Error) as error:  # the server goes on
        shown = without_password(f"MLflow's database could not be copied to {workspace}: {error}")
        print(shown, flush=True)


if __name__ == "__main__":
    run_script(lambda: main)
