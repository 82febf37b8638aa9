"""The head's MLflow: behind a password, on loopback, its database kept in the workspace."""

import importlib.util
import os
import sqlite3
import stat
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import fsspec
import pytest

from hhmnet_core.errors import InputError

SCRIPT = Path(__file__).parents[2] / "cluster" / "mlflow_server.py"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, with a home folder of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    spec = importlib.util.spec_from_file_location("mlflow_server", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.STATE.mkdir(parents=True)
    return module


@pytest.mark.parametrize(
    "uri", ["http://0.0.0.0:5000", "http://10.0.0.1:5000", "sqlite:///here.db", "http://127.0.0.1"]
)
def test_server_refuses_to_listen_beyond_loopback(
    server: ModuleType, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(InputError, match="listens on loopback alone"):
        server.command()


def test_password_is_made_once_and_is_nobody_elses(server: ModuleType) -> None:
    first = server.auth_environment(server.CREDENTIALS)["MLFLOW_AUTH_ADMIN_PASSWORD"]
    assert len(first) >= 32
    assert server.auth_environment(server.CREDENTIALS)["MLFLOW_AUTH_ADMIN_PASSWORD"] == first
    assert stat.S_IMODE(server.CREDENTIALS.stat().st_mode) == 0o600


def test_database_comes_back_on_another_head(server: ModuleType, s3_bucket: str) -> None:
    file, workspace = server.STATE / "mlflow.db", f"{s3_bucket}/hhmnet"
    server.restore(file, workspace)
    assert not file.exists()
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE runs (name)")
        database.execute("INSERT INTO runs VALUES ('first')")
        database.commit()
        server.try_backup(file, workspace)  # while it is open
    file.unlink()
    server.restore(file, workspace)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT name FROM runs").fetchall() == [("first",)]
        database.execute("INSERT INTO runs VALUES ('second')")
        database.commit()
    server.restore(file, workspace)  # one that is there is left alone
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT count(*) FROM runs").fetchone() == (2,)


def test_storage_that_is_away_does_not_end_the_server(
    server: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = server.STATE / "mlflow.db"
    sqlite3.connect(file).close()
    (tmp_path / "a-file").touch()
    server.try_backup(file, str(tmp_path / "a-file"))
    assert "could not be copied" in capsys.readouterr().out


@contextmanager
def serving(home: Path, workspace: str, port: int) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "HOME": str(home), "HHMNET_WORKSPACE": workspace}
    log = home / "log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, SCRIPT],
            env=env | {"MLFLOW_TRACKING_URI": url},
            stdout=out,
            stderr=out,
        )
    try:
        ends = time.monotonic() + 200
        while status(f"{url}/health") != 200:
            assert time.monotonic() < ends and process.poll() is None, log.read_text()
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def status(url: str, password: str = "") -> int:
    given = {"Authorization": f"Basic {b64encode(f'admin:{password}'.encode()).decode()}"}
    try:
        with urlopen(Request(url, headers=given if password else {}), timeout=20) as answer:
            code: int = answer.status
            return code
    except HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.timeout(600)
def test_server_asks_for_the_password_and_a_new_head_has_the_old_runs(
    server: ModuleType, tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "workspace"
    runs = "api/2.0/mlflow/experiments/get?experiment_id=0"
    with serving(tmp_path, str(workspace), free_port) as url:
        password = server.auth_environment(server.CREDENTIALS)["MLFLOW_AUTH_ADMIN_PASSWORD"]
        assert status(f"{url}/{runs}") == 401
        assert status(f"{url}/{runs}", "password1234") == 401
        assert status(f"{url}/{runs}", password) == 200
        make_experiment(url)  # by ~/.mlflow/credentials, as a driver does
    assert fsspec.filesystem("file").exists(str(workspace / "mlflow" / "mlflow.db"))
    other = tmp_path / "other-head"
    other.mkdir()
    with serving(other, str(workspace), free_port) as url:
        monkeypatch.setenv("HOME", str(other))
        assert status(f"{url}/{runs}", password) == 401  # passwords do not travel
        assert experiments(url) == {"Default", "nw_ucla/12-3"}


def make_experiment(url: str) -> None:
    from mlflow import MlflowClient

    MlflowClient(url).create_experiment("nw_ucla/12-3")


def experiments(url: str) -> set[str]:
    from mlflow import MlflowClient

    return {one.name for one in MlflowClient(url).search_experiments()}


def test_password_of_a_database_is_no_argument(
    server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    database = "postgresql://me:secret@host/mlflow"
    assert "secret" not in " ".join(server.command())
    assert server.places(database, "s3://bucket/w/") == {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_ARTIFACTS_DESTINATION": "s3://bucket/w/mlartifacts",
    }
