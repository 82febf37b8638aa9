"""Folders of models: whole ones are read, all others are refused by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hhmnet_core.deploy.folders import read_description
from hhmnet_core.deploy.model import load_model
from hhmnet_core.errors import InputError
from hhmnet_core.identity import canonical
from hhmnet_core.store.clips import ClipSet


@pytest.fixture
def model(skeleton_model: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(skeleton_model, tmp_path / "model"))


def change(folder: Path, **values: object) -> None:
    """Change a description and its checksum with it, as an attacker would."""
    import hashlib

    described = json.loads((folder / "model.json").read_text())
    described |= values
    described.pop("sha256")
    described["sha256"] = hashlib.sha256(canonical(described)).hexdigest()
    (folder / "model.json").write_text(json.dumps(described))


def test_a_moved_model_predicts_the_same(model: Path, skeleton_model: str, clips: ClipSet) -> None:
    clip = [clips.clip(0)]
    np.testing.assert_array_equal(
        load_model(model).predict(clip), load_model(skeleton_model).predict(clip)
    )


def test_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no model at"):
        load_model(tmp_path)


@pytest.mark.parametrize("file", ["model.json", "joint.safetensors", "bone_motion.safetensors"])
def test_a_flipped_byte_is_refused(file: str, model: Path) -> None:
    content = bytearray((model / file).read_bytes())
    content[len(content) // 2] ^= 4
    (model / file).write_bytes(content)
    with pytest.raises(InputError, match=file.replace(".", r"\.")):
        load_model(model)


def test_a_missing_file_is_refused(model: Path) -> None:
    (model / "bone.safetensors").unlink()
    with pytest.raises(InputError, match=r"bone\.safetensors of the model .* is missing"):
        load_model(model)


def test_a_newer_schema_is_refused(model: Path) -> None:
    change(model, schema_version=2)
    with pytest.raises(InputError, match="schema version 2, newer than the 1"):
        load_model(model)


def test_a_path_for_a_name_is_refused(model: Path) -> None:
    networks = json.loads((model / "model.json").read_text())["networks"]
    networks[0]["name"] = "../../x"
    change(model, networks=networks)
    with pytest.raises(InputError, match=r"network name '\.\./\.\./x' cannot be used"):
        load_model(model)


@pytest.mark.parametrize(
    "values",
    [
        {"networks": []},
        {"class_names": ["one"]},
        {"class_names": ["one", "one", "two"]},
        {"temperature": 0.0},
        {"combination": "votes"},
        {"unknown": 1},
        {"schema_version": "1"},
        {"dataset": "../there"},
        {"layout": "nowhere"},
        {"class_names": ["a", "b", "c", "d"]},
    ],
)
def test_descriptions_that_contradict_themselves_are_refused(
    values: dict[str, object], model: Path
) -> None:
    change(model, **values)
    with pytest.raises(InputError):
        load_model(model)


@pytest.mark.parametrize(
    "values",
    [
        {"weight": -1.0},
        {"temperature": float("nan")},
        {"member": "smell"},
        {"guide": "nobody"},
        {"member": "video"},
        {"config": {"model": {"widths": [7]}}},
        {"config": {"nothing": 1}},
    ],
)
def test_networks_that_cannot_be_are_refused(values: dict[str, object], model: Path) -> None:
    networks = json.loads((model / "model.json").read_text())["networks"]
    networks[0] |= values
    change(model, networks=networks)
    with pytest.raises(InputError):
        load_model(model)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"schema_version": null}'])
def test_what_is_no_description_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(InputError, match="is no model"):
        read_description(tmp_path)
