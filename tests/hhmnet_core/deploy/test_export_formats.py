"""Files of exported graphs: traced once, run with any shapes, and without this project."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from random_networks import CLASSES, random_model, random_network, tensors_of

from hhmnet_core.deploy.export_check import make_clip, pad
from hhmnet_core.deploy.export_formats import (
    METADATA,
    OPSET,
    GraphFormat,
    graph_metadata,
    load_graph,
    write_graph,
)
from hhmnet_core.deploy.graph import ModelGraph
from hhmnet_core.deploy.model import Model
from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig

# A pt2 file is also written, and compared with its model, by the command's tests.
FORMATS = ("onnx", pytest.param("pt2", marks=pytest.mark.slow))
# An ensemble in which everything that clips pass through is on.
ALL = DataConfig(frames=12, motion_share=0, align=True, normalise_size=True, normalise_axes=True)
NEWER = replace(ALL, align_by="torso", axes_extent="clip", whole_frames=True, motion_step=3)
MOTION = DataConfig(frames=16, motion_share=0.5)
VIEWS = AugmentConfig(motion_share=0.5, views=2)
DRAWS = AugmentConfig(random_frames=True, motion_share=0, views=2)
BATCHES = [[(1, 1)], [(2, 1)], [(1, 7)] * 5, [(2, 300)], [(1, 1), (2, 7), (3, 90), (1, 2)]]


@cache
def exported(kind: GraphFormat) -> tuple[Model, bytes]:
    """Return an ensemble of three networks, and its file."""
    torch.manual_seed(1)
    networks = [
        random_network("joint", "joint", MOTION, weight=0.7, temperature=1.3, augment=VIEWS),
        random_network("bone_motion", "bone_motion", ALL, weight=0.4),
        random_network("joint_motion", "joint_motion", NEWER, weight=0.4, augment=DRAWS),
    ]
    described = random_model(networks, combination="log_probabilities", threshold=0.4)
    weights = tensors_of(networks)
    graph = ModelGraph(described, weights)
    content = write_graph(graph, kind, graph_metadata(described, graph))
    return Model(described, weights), content


def metadata_of(kind: GraphFormat, content: bytes) -> dict[str, str]:
    if kind == "onnx":
        import onnx

        return {each.key: each.value for each in onnx.load_from_string(content).metadata_props}
    files = {METADATA: ""}
    torch.export.load(io.BytesIO(content), extra_files=files)
    values: dict[str, str] = json.loads(files[METADATA])
    return values


@pytest.mark.parametrize("kind", FORMATS)
def test_one_file_runs_batches_of_any_shape(kind: GraphFormat, seed: int) -> None:
    model, content = exported(kind)
    run, random = load_graph(content, kind), np.random.default_rng(seed)
    for shapes in BATCHES:
        clips = [make_clip(model.layout, *shape, random) for shape in shapes]
        probabilities, logits = run(*pad(clips))
        np.testing.assert_allclose(probabilities, model.predict(clips), rtol=0, atol=1e-5)
        expected = np.stack(list(model.logits(clips).values()), 1)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), [("st_gcn", "onnx"), ("st_gcn", "pt2"), ("ctr_gcn", "onnx")]
)
def test_baselines_are_exported(name: str, kind: GraphFormat, seed: int) -> None:
    model = ModelConfig(name=name)  # type: ignore[arg-type]
    networks = [random_network("joint", model=model)]
    described, weights = random_model(networks), tensors_of(networks)
    run = load_graph(write_graph(ModelGraph(described, weights), kind, {}), kind)
    random = np.random.default_rng(seed)
    clips = [make_clip(described.skeleton, *shape, random) for shape in BATCHES[-1]]
    found, _ = run(*pad(clips))
    np.testing.assert_allclose(found, Model(described, weights).predict(clips), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_describes_its_model(kind: GraphFormat) -> None:
    values = metadata_of(kind, exported(kind)[1])
    assert set(values) == {
        "hhmnet_version", "model", "dataset", "class_names", "layout", "joint_names", "networks",
        "threshold",
    }  # fmt: skip
    assert json.loads(values["class_names"]) == list(CLASSES)
    assert json.loads(values["joint_names"])[3] == "head"
    assert json.loads(values["networks"]) == ["joint", "bone_motion", "joint_motion"]
    assert (values["model"], values["layout"], values["threshold"]) == (
        "random", "kinect_v1_20", "0.4",
    )  # fmt: skip


def test_onnx_states_its_opset_and_names_its_axes() -> None:
    import onnx

    model = onnx.load_from_string(exported("onnx")[1])
    onnx.checker.check_model(model)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    shapes = {
        each.name: [axis.dim_param or axis.dim_value for axis in each.type.tensor_type.shape.dim]
        for each in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "joints": ["clips", "bodies", "frames", 20, 3],
        "num_frames": ["clips"],
        "num_bodies": ["clips"],
        "probabilities": ["clips", 3],
        "logits": ["clips", 3, 3],
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_no_file_holds_paths_of_the_machine_that_made_it(kind: GraphFormat) -> None:
    content = exported(kind)[1]
    places = (Path(__file__).parents[3], Path(torch.__file__).parents[1])
    assert not [str(place) for place in places if str(place).encode() in content]
    assert b".py" not in content


RUN_ALONE = """
import sys
import numpy as np

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("hhmnet"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
kind, file, inputs = sys.argv[1:]
joints, frames, bodies = np.load(inputs).values()
if kind == "onnx":
    import onnxruntime
    session = onnxruntime.InferenceSession(file)
    values = {"joints": joints, "num_frames": frames, "num_bodies": bodies}
    print(*session.run(["probabilities"], values)[0].ravel())
else:
    import torch
    module = torch.export.load(file).module()
    print(*module(*map(torch.from_numpy, (joints, frames, bodies)))[0].detach().numpy().ravel())
"""


@pytest.mark.integration
@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_runs_without_this_project(kind: GraphFormat, tmp_path: Path, seed: int) -> None:
    model, content = exported(kind)
    (tmp_path / "file").write_bytes(content)
    clip = make_clip(model.layout, 2, 30, np.random.default_rng(seed))
    np.savez(tmp_path / "inputs.npz", *pad([clip]))
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALONE, kind, tmp_path / "file", tmp_path / "inputs.npz"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = np.array(done.stdout.split(), float)
    np.testing.assert_allclose(found, model.predict([clip])[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named_with_its_remedy(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = [random_network("joint")]
    graph = ModelGraph(random_model(networks), tensors_of(networks))
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(InputError, match=r"pip install 'hhmnet-ray\[export\]'"):
        write_graph(graph, "onnx", {})
