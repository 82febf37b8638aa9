"""A model in MLflow's format: what it needs, what it reads, and that it loads elsewhere."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from random_models import CLASSES, random_clips, write_random_model

from hhmnet_core.deploy.folders import read_description
from hhmnet_core.deploy.model import load_model
from hhmnet_core.deploy.pyfunc import example_row
from hhmnet_core.store.manifest import Visual
from hhmnet_platform.tracking.mlflow_format import requirements_of, save_pyfunc, signature_of

# Loads a model as MLflow does, where only packages of its requirements can be imported.
LOAD_WITH_REQUIREMENTS_ALONE = """
import json, re, sys
from importlib import metadata

def pulled(name, seen):
    name = re.sub("[-_.]+", "-", name).lower()
    if name not in seen:
        seen.add(name)
        for line in metadata.requires(name) or []:
            if "extra ==" not in line:
                try:
                    pulled(re.match("[A-Za-z0-9._-]+", line)[0], seen)
                except metadata.PackageNotFoundError:  # of another system
                    pass
    return seen

path, clips = sys.argv[1:]
allowed = set()
for line in open(f"{path}/requirements.txt"):
    pulled(line.split("==")[0].strip(), allowed)
owners = {
    top: {re.sub("[-_.]+", "-", each).lower() for each in names}
    for top, names in metadata.packages_distributions().items()
}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in owners and not owners[top] & allowed and top != "hhmnet_core":
            raise ModuleNotFoundError(f"{name} is in no requirement", name=name)

sys.meta_path.insert(0, Refuse())
import mlflow.pyfunc

model = mlflow.pyfunc.load_model(path)
found = model.predict([{"joints": clip} for clip in json.load(open(clips))])
used = sys.modules["hhmnet_core"].__file__
print(json.dumps([used, [list(each["probabilities"].values()) for each in found]]))
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    return write_random_model(tmp_path / "model")


def test_requirements_are_pinned_without_the_name_of_a_build(model: str) -> None:
    described = read_description(model)
    pins = [Requirement(line) for line in requirements_of(described)]
    for pin in pins:
        installed = version(pin.name).partition("+")[0]
        assert str(pin.specifier) == f"=={installed}"
    names = {pin.name for pin in pins}
    assert {"torch", "numpy", "safetensors", "scipy", "pyarrow", "fsspec", "mlflow"} < names
    assert not {"transformers", "pillow"} & names


def test_a_model_with_video_needs_more_and_reads_more(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visual = property(lambda self: Visual("rgb", 4, 32))
    monkeypatch.setattr("hhmnet_core.deploy.description.ModelDescription.visual", visual)
    described = read_description(model)
    names = {line.partition("==")[0] for line in requirements_of(described)}
    assert {"transformers", "pillow", "simplejpeg"} < names
    inputs = signature_of(described).inputs.input_names()
    assert inputs == ["joints", "images", "positions", "image_joints"] == [*example_row(described)]


def test_new_process_loads_it_with_the_code_and_the_requirements_that_travel(
    model: str, tmp_path: Path
) -> None:
    saved, empty = tmp_path / "saved", tmp_path / "empty"
    empty.mkdir()
    save_pyfunc(model, read_description(model), saved)
    clips = random_clips()
    (tmp_path / "clips.json").write_text(json.dumps([clip.tolist() for clip in clips]))
    arguments = ["-I", "-c", LOAD_WITH_REQUIREMENTS_ALONE, saved, tmp_path / "clips.json"]
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=empty, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    used, found = json.loads(done.stdout.splitlines()[-1])
    assert used == str(saved / "code" / "hhmnet_core" / "__init__.py")
    assert found == load_model(model).predict(clips).tolist()


def test_input_example_fits_the_signature(model: str, tmp_path: Path) -> None:
    import mlflow.pyfunc

    save_pyfunc(model, read_description(model), tmp_path / "saved")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    (found,) = loaded.predict(loaded.input_example)
    assert set(found["probabilities"]) == set(CLASSES)
    assert loaded.metadata.signature.inputs.to_dict()[0]["name"] == "joints"
