import os
import sys
from pathlib import Path

import pytest
from filelock import Timeout
from mlflow.exceptions import MlflowException
from small_disk import needs_small_disk, run_on_small_disk

from hhmnet_core.errors import InputError
from hhmnet_platform.tracking import client
from hhmnet_platform.tracking.client import (
    exclusive,
    mlflow_errors,
    new_client,
    open_for_reading,
    open_for_writing,
)


@pytest.fixture
def damaged(tmp_path: Path) -> str:
    database = tmp_path / "mlflow.db"
    database.write_text("no database" * 99)
    return f"sqlite:///{database}"


def test_client_waits_for_other_writers_of_an_sqlite_file(uri: str) -> None:
    assert new_client(uri).tracking_uri == f"{uri}?timeout=60"
    assert new_client(f"{uri}?timeout=5").tracking_uri == f"{uri}?timeout=5"
    assert new_client("http://127.0.0.1:5000").tracking_uri == "http://127.0.0.1:5000"


def test_users_settings_win_over_the_quiet_defaults(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    new_client(uri)
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "7"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_failures_are_input_errors_with_the_uri(damaged: str) -> None:
    with pytest.raises(InputError, match=f"^MLflow at {damaged} cannot answer \\("):
        with open_for_reading(damaged) as opened:
            opened.search_experiments()
    with pytest.raises(InputError, match=f"^MLflow at {damaged} cannot be written to \\("):
        with open_for_writing(damaged) as opened:
            opened.search_experiments()


def test_reason_is_one_line_of_at_most_200_characters() -> None:
    with pytest.raises(InputError) as raised, mlflow_errors("http://mlflow"):
        raise MlflowException("a\n  b" + "x" * 300)
    reason = "a b" + "x" * 197
    assert str(raised.value) == f"MLflow at http://mlflow cannot be written to ({reason})."


def test_errors_that_are_not_mlflows_pass_unchanged() -> None:
    with pytest.raises(KeyError), mlflow_errors("http://mlflow"):
        raise KeyError("a bug")


def test_one_writer_of_an_sqlite_file_at_a_time(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SQLITE_WAIT_SECONDS", 0.1)
    with exclusive(uri):
        with pytest.raises(Timeout), exclusive(uri):
            pass
        with pytest.raises(InputError, match="cannot be written to"), open_for_writing(uri):
            pass
        with open_for_reading(uri) as opened:
            assert [each.name for each in opened.search_experiments()] == ["Default"]
    with open_for_writing(uri) as opened:
        opened.create_experiment("free again")


def test_lock_of_a_database_in_a_new_folder(tmp_path: Path) -> None:
    with exclusive(f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"):
        assert (tmp_path / "new").is_dir()


def test_servers_take_several_writers() -> None:
    with exclusive("http://127.0.0.1:5000"), exclusive("http://127.0.0.1:5000"):
        pass


@needs_small_disk
def test_full_disk_of_the_database_is_one_line_with_its_space(
    empty_database: Path, tmp_path: Path
) -> None:
    database = tmp_path / "mlflow.db"
    code = f"""
from hhmnet_core.errors import InputError
from hhmnet_platform.tracking.client import open_for_writing
try:
    with open_for_writing("sqlite:///{database}") as client:
        for number in range(100):
            client.create_experiment(str(number), tags={{"long": "x" * 4000}})
except InputError as error:
    print(error)
"""
    (tmp_path.parent / "fill.py").write_text(code)
    ended = run_on_small_disk(
        tmp_path, f"{empty_database.stat().st_size // 1024 + 60}k",
        f"cp {empty_database} {database} && {sys.executable} {tmp_path.parent}/fill.py",
    )  # fmt: skip
    assert ended.stderr == ""
    (line,) = ended.stdout.splitlines()
    assert line.startswith(f"MLflow at sqlite:///{database} cannot be written to (the disk is full")
    assert f"mounted at {tmp_path}, has 0." in line and "MB free" in line


def test_password_is_neither_shown_nor_cut_in_two() -> None:
    uri = "postgresql://me:secret@host/db"
    with pytest.raises(InputError) as raised, mlflow_errors(uri):
        raise MlflowException("x" * 180 + f" {uri}")
    assert "secret" not in str(raised.value) and "me:" not in str(raised.value)
    assert "MLflow at postgresql://host/db cannot" in str(raised.value)
