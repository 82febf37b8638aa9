"""Models by what users call them."""

import shutil
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.storage.find_model import find_model
from hhmnet_platform.storage.workspace import Workspace


@pytest.fixture
def workspace(model: str, tmp_path: Path) -> Workspace:
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
        ("../other", "There is no model"),
    ],
)
def test_what_is_no_model(given: str, message: str, workspace: Workspace) -> None:
    with pytest.raises(InputError, match=message):
        find_model(given, workspace)
