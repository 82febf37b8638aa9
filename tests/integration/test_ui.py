"""`make ui`: MLflow's pages of a workspace, with and without a login."""

import configparser
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from processes import free_port, wait_until

from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking.client import new_client

pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose path needs escapes, with an experiment in MLflow."""
    folder = tmp_path_factory.mktemp("ui") / "it's 100%41?x=1"
    folder.mkdir()
    client = new_client(Workspace(str(folder)).tracking_uri(""))
    client.create_experiment("films/cross-view")
    return folder


def status(port: int, password: str = "") -> int:
    url = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/get-by-name"
    given = {"Authorization": f"Basic {b64encode(f'admin:{password}'.encode()).decode()}"}
    request = Request(f"{url}?experiment_name=films/cross-view", headers=given if password else {})
    try:
        with urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("login", [True, False])
def test_pages_ask_for_a_password_if_wanted(
    start: Callable[..., Any], workspace: Path, tmp_path: Path, login: bool
) -> None:
    port = free_port()
    ui = start(
        *(sys.executable, REPOSITORY / "experiments" / "ui.py", f"--port={port}"),
        *(f"--workspace={workspace}", f"--login={'true' if login else 'false'}"),
        env={"HOME": str(tmp_path)},
        cwd=tmp_path,
    )
    wait_until(lambda: status(port) != 0, f"MLflow: {ui.output}", 200)
    if login:
        file = tmp_path / ".hhmnet" / "ui" / "credentials"
        known = configparser.RawConfigParser()
        known.read(file)
        password = known["mlflow"]["mlflow_tracking_password"]
        assert [status(port), status(port, "wrong"), status(port, password)] == [401, 401, 200]
        assert f"asks for user admin and the password in {file}" in ui.output
        assert password not in ui.output
        assert file.stat().st_mode & 0o077 == 0
    else:
        assert status(port) == 200
        assert "note: there is no login" in ui.output and "`hhmnet ui --login`" in ui.output
    ui.stop()
    assert {path.name for path in workspace.parent.iterdir()} == {workspace.name}


def test_workspace_without_runs_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "experiments/ui.py", f"--workspace={tmp_path}"],
        cwd=REPOSITORY,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2 and f"There are no runs in {tmp_path} yet" in done.stderr
    assert not list(tmp_path.iterdir())
