"""MLflow's pages of a workspace, with or without a login."""

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hhmnet_core.errors import InputError
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
from hhmnet_platform.tracking.moved_artifacts import follow_move
from hhmnet_platform.tracking.server import BASIC_AUTH, SERVER_ENVIRONMENT, auth_environment
from hhmnet_platform.tracking.uri import TRAINING_VIEW, database_of


@dataclass
class Pages:
    """MLflow's pages of a workspace.

    Attributes:
        workspace: Folder of the workspace. Default: $HHMNET_WORKSPACE, else `workspace`.
        host: Address to listen on.
        port: Port to listen on.
        login: Whether MLflow asks for a password, which is made at the first start.
    """

    workspace: str = field(default_factory=default_workspace)
    host: str = "127.0.0.1"
    port: int = 5000
    login: bool = False


def open_pages(job: Pages) -> None:
    """Start MLflow in the place of this process."""
    uri = Workspace(absolute_uri(job.workspace)).tracking_uri("")
    database = database_of(uri)
    if database is None or not database.exists():
        raise InputError(
            f"There are no runs in {job.workspace} yet: run `hhmnet pipeline` first, or name "
            "another --workspace."
        )
    follow_move(database)
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
        *("--host", job.host, "--port", str(job.port), "--workers", "1"),
    ]
    environment = {**os.environ, **SERVER_ENVIRONMENT}
    address = f"http://{job.host}:{job.port}"
    print(f"Open     {address}/#/experiments?{TRAINING_VIEW}", flush=True)
    if job.login:
        command += BASIC_AUTH
        environment |= _login(address)
    else:
        print(
            f"note: there is no login: whoever reaches {address}, as every user of this machine "
            "can, may change and delete the runs. `hhmnet ui --login` asks for a password.",
            flush=True,
        )
    os.execve(sys.executable, command, environment)


def _login(address: str) -> dict[str, str]:
    """Print how to log in, and return the environment of MLflow's authentication."""
    if importlib.util.find_spec("flask_wtf") is None:
        raise InputError(
            "MLflow's login is not installed: install this package with the extra `cluster`."
        )
    # Not ~/.mlflow/credentials, which MLflow's clients send to any server.
    state = Path("~/.hhmnet/ui").expanduser()
    credentials, users = state / "credentials", state / "basic_auth.db"
    if not credentials.exists():
        users.unlink(missing_ok=True)  # it holds the password of before
    auth = auth_environment(credentials)
    os.chdir(state)  # where MLflow makes its database of users
    print(f"{address} asks for user admin and the password in {credentials}.", flush=True)
    return auth
