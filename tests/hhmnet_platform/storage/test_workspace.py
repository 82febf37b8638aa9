from pathlib import Path
from typing import Any

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.fusion.search_weights import FusionSearch
from hhmnet_platform.fusion.select_ensemble import EnsembleJob
from hhmnet_platform.pipeline import Pipeline
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.scripts.cli import parse_config
from hhmnet_platform.search.config import Phase1Search
from hhmnet_platform.storage.workspace import Workspace, absolute_uri


@pytest.mark.parametrize("name", ["", "..", "../../there", "a/b", "a\\b", "memory::a", "a\0b"])
def test_name_that_leads_elsewhere_has_no_folder(tmp_path: Path, name: str) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(InputError, match="cannot be used"):
        workspace.run(name)
    with pytest.raises(InputError, match="cannot be used"):
        workspace.derived("fusions", name)


def test_runs_are_listed_without_files_of_other_programs(tmp_path: Path) -> None:
    for name in ("b", "it's a", ".DS_Store"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert Workspace(str(tmp_path)).run_names() == ["b", "it's a"]


def test_absolute_leaves_remote_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_uri("workspace") == str(tmp_path / "workspace")
    assert absolute_uri("memory://bucket/workspace/") == "memory://bucket/workspace"


@pytest.mark.parametrize(
    "kind", [Phase1Job, Phase2Job, Pipeline, Phase1Search, FusionSearch, EnsembleJob]
)
def test_environment_says_where_everything_goes(
    kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = parse_config("job", kind, [])
    assert (job.workspace, job.tracking_uri) == ("workspace", "")
    monkeypatch.setenv("HHMNET_WORKSPACE", "s3://bucket/hhmnet")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    job = parse_config("job", kind, [])
    assert (job.workspace, job.tracking_uri) == ("s3://bucket/hhmnet", "http://127.0.0.1:5000")
    job = parse_config("job", kind, ["--workspace=here", "--tracking_uri="])
    assert (job.workspace, job.tracking_uri) == ("here", "")


def test_remote_workspace_needs_a_tracking_server() -> None:
    workspace = Workspace("memory://bucket/workspace")
    with pytest.raises(InputError, match="--tracking_uri"):
        workspace.tracking_uri("")
    assert workspace.tracking_uri("http://mlflow:5000") == "http://mlflow:5000"


@pytest.mark.parametrize("uri", ["htp://mlflow:5000", "localhost:5000", "s3://bucket/mlruns"])
def test_tracking_uri_of_a_kind_that_mlflow_does_not_know(tmp_path: Path, uri: str) -> None:
    with pytest.raises(InputError, match=f"cannot track at {uri}.*sqlite:///FILE"):
        Workspace(str(tmp_path)).tracking_uri(uri)


def test_workspace_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"The workspace .* cannot be written \(Not a directory\)"):
        Workspace(str(tmp_path / "file" / "workspace")).check_writable()


def test_check_writable_leaves_nothing_behind(tmp_path: Path) -> None:
    Workspace(str(tmp_path)).check_writable()
    assert list(tmp_path.iterdir()) == []
