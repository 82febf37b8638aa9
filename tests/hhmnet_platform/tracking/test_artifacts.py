from pathlib import Path

import pytest
from mlflow import MlflowClient

from hhmnet_platform.tracking.artifacts import download, upload


@pytest.fixture
def run_id(uri: str, folder: Path) -> str:
    client = MlflowClient(uri)
    experiment = client.create_experiment("toy", str(folder / "artifacts"))
    return str(client.create_run(experiment).info.run_id)


def test_files_come_back_under_their_paths(uri: str, run_id: str, tmp_path: Path) -> None:
    upload(MlflowClient(uri), run_id, {"scores/val.parquet": b"val", "note.txt": b"note"})
    (tmp_path / "copy").mkdir()
    copied = download(uri, run_id, "scores", str(tmp_path / "copy"))
    assert [(each.name, each.read_bytes()) for each in copied.iterdir()] == [
        ("val.parquet", b"val")
    ]
    assert download(uri, run_id, "note.txt", str(tmp_path / "copy")).read_bytes() == b"note"


def test_no_files_leave_no_artifacts(uri: str, run_id: str) -> None:
    upload(MlflowClient(uri), run_id, {})
    assert MlflowClient(uri).list_artifacts(run_id) == []


@pytest.mark.parametrize("is_run_known", [True, False])
def test_missing_artifacts_are_an_os_error(
    uri: str, run_id: str, tmp_path: Path, is_run_known: bool
) -> None:
    with pytest.raises(OSError, match="scores"):
        download(uri, run_id if is_run_known else "0" * 32, "scores", str(tmp_path))
