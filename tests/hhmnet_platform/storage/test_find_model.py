"""Models by what users call them."""

import shutil
from pathlib import Path

import pytest
from random_models import write_random_model

from hhmnet_core.errors import InputError
from hhmnet_platform.storage.find_model import find_model
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking.client import open_for_writing
from hhmnet_platform.tracking.models import log_model


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    model = write_random_model(tmp_path / "random")
    for kind in ("runs/one", "fusions/two", "ensembles/three"):
        shutil.copytree(model, tmp_path / kind / "model")
    (tmp_path / "runs" / "unfinished").mkdir()
    (tmp_path / "runs" / "unfinished" / "science.json").write_text("{}")
    return Workspace(str(tmp_path))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("one", "runs/one/model"),
        ("two", "fusions/two/model"),
        ("three", "ensembles/three/model"),
        ("{}/runs/one", "runs/one/model"),
        ("{}/ensembles/three/model", "ensembles/three/model"),
        ("{}/ensembles/three/model/", "ensembles/three/model"),
    ],
)
def test_names_and_folders(given: str, place: str, workspace: Workspace) -> None:
    assert find_model(given.format(workspace.uri), workspace) == f"{workspace.uri}/{place}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "--model is missing"),
        ("four", r"There is no model four: .* which has one, two, three"),
        ("unfinished", "holds no model: finish it"),
        ("{}/exported.onnx", r"exported\.onnx is a file: give the folder of a model"),
        ("../other", "There is no model"),
    ],
)
def test_what_is_no_model(given: str, message: str, workspace: Workspace) -> None:
    Path(workspace.uri, "exported.onnx").write_bytes(b"onnx")
    with pytest.raises(InputError, match=message):
        find_model(given.format(workspace.uri), workspace)


def test_model_of_mlflow_is_found_by_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HHMNET_CACHE", str(tmp_path / "cache"))
    workspace = Workspace(str(tmp_path))
    model = write_random_model(tmp_path / "model")
    with open_for_writing(workspace.tracking_uri("")) as client:
        experiment = client.create_experiment("toy", str(tmp_path / "mlartifacts"))
        run_id = client.create_run(experiment).info.run_id
        log_model(client, experiment, run_id, model)
    for address in ("models:/hhmnet-toy/1", f"runs:/{run_id}/model"):
        found = Path(find_model(address, workspace))
        assert found.parent == tmp_path / "cache" / "models"
        for name in ("model.json", "joint.safetensors"):
            assert (found / name).read_bytes() == Path(model, name).read_bytes()
    with pytest.raises(InputError, match="has no registered model hhmnet-other: it has hhmnet-toy"):
        find_model("models:/hhmnet-other/1", workspace)
