from pathlib import Path

import pytest
from mlflow.utils.file_utils import local_file_uri_to_path
from sqlalchemy.engine import make_url

from hhmnet_core.errors import InputError
from hhmnet_platform.tracking.uri import (
    TRACKING_SCHEMES,
    artifact_location,
    check_tracking_scheme,
    database_of,
    default_tracking,
    experiment_page,
    run_page,
    sqlite_uri,
    with_options,
)


@pytest.mark.parametrize("uri", ["htp://mlflow:5000", "localhost:5000", "s3://bucket/mlruns"])
def test_scheme_that_mlflow_does_not_know_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match=f"cannot track at {uri}.*sqlite:///FILE"):
        check_tracking_scheme(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "databricks",
        "databricks://profile",
        "http://mlflow:5000",
        "sqlite:///mlflow.db",
        "postgresql+psycopg2://host/db",
    ],
)
def test_schemes_that_mlflow_knows_are_taken(uri: str) -> None:
    check_tracking_scheme(uri)


@pytest.mark.parametrize("uri", ["mlruns", "/w/mlruns", "file:///w/mlruns", "file:mlruns"])
def test_folder_is_refused_with_the_remedy(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=f"in a folder, but the tracking URI is {uri}: .*sqlite"):
        check_tracking_scheme(uri)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_tracking_scheme(uri)


def test_tracking_schemes_are_those_that_mlflow_registers() -> None:
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    assert set(_tracking_store_registry._registry) == TRACKING_SCHEMES


def test_default_is_mlflows_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_tracking() == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert default_tracking() == "http://mlflow:5000"


def test_database_of_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert database_of("sqlite:///mlflow.db") == tmp_path / "mlflow.db"
    assert database_of(f"sqlite:///{tmp_path}/a/mlflow.db") == tmp_path / "a" / "mlflow.db"
    for uri in ("sqlite:///mlflow.db?timeout=5", "http://mlflow:5000", "postgresql://host/db"):
        assert database_of(uri) is None


def test_pages_behind_the_servers_address() -> None:
    view = "workflowType=machine_learning"
    assert experiment_page("3") == f"#/experiments/3/runs?{view}"
    assert run_page("3", "abc") == f"#/experiments/3/runs/abc?{view}"
    assert with_options(experiment_page("3"), "a=b") == f"#/experiments/3/runs?{view}&a=b"
    assert with_options("#/experiments/3/runs", "a=b") == "#/experiments/3/runs?a=b"


@pytest.mark.parametrize("name", ["plain", "q?x=1", "p%41", "100%", "a#b", "a&b ü'\""])
def test_uri_of_a_file_leads_to_that_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "mlflow.db"
    uri = sqlite_uri(str(file))
    assert make_url(uri).database == str(file)
    assert database_of(uri) == file
    check_tracking_scheme(uri)
    assert local_file_uri_to_path(artifact_location(str(file))) == str(file)


def test_uri_of_a_usual_path_is_the_path() -> None:
    assert sqlite_uri("/w s/mlflow.db") == "sqlite:////w s/mlflow.db"
    assert artifact_location("/w s/mlartifacts") == "/w s/mlartifacts"
