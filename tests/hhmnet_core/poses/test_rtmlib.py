"""The adapter of rtmlib, with a stand-in of the package and, where it is installed, with itself.

The package is optional and brings OpenCV, so it is no part of the test environment. Weights of its
hub are never downloaded: models are made here, with the inputs and outputs of the real ones.
"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.poses.estimators import choose_estimator
from hhmnet_core.poses.rtmlib import Rtmlib, RtmlibConfig

IMAGE = np.zeros((48, 64, 3), np.uint8)
IMAGE[..., 0] = 200  # red


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """A stand-in of rtmlib's hub; what its models return is set by the test."""
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    state = SimpleNamespace(
        boxes=[[0, 0, 9, 9]], joints=np.ones((1, 17, 2)), scores=np.ones((1, 17))
    )

    class Model:
        onnx_model = str(file)

        def __call__(self, image: np.ndarray, bboxes: Any = None) -> Any:
            assert image[0, 0].tolist() == [0, 0, 200]  # OpenCV's order of colours
            return state.boxes if bboxes is None else (state.joints, state.scores)

    module: Any = ModuleType("rtmlib")
    module.Body = lambda **_: SimpleNamespace(pose_model=Model(), det_model=Model())
    monkeypatch.setitem(sys.modules, "rtmlib", module)
    state.module = module
    return state


def test_people_in_pixels_are_returned(package: SimpleNamespace) -> None:
    config = choose_estimator("rtmlib")
    estimator = config.open()
    estimator.reset()
    package.scores = np.full((1, 17), 1.3)
    people = estimator.estimate(IMAGE)
    assert people.world is None and people.pixels.shape == (1, 17, 2)
    assert people.confidence.dtype == np.float32 and people.confidence.max() == 1
    fingerprint = config.fingerprint()
    assert fingerprint["estimator"] == "rtmlib/1" and len(fingerprint["rtmlib.pose"]) == 64
    assert config.layout.name == "coco_17"


def test_nobody_is_nobody(package: SimpleNamespace) -> None:
    estimator = Rtmlib(RtmlibConfig())
    package.scores = np.zeros((1, 17))
    assert len(estimator.estimate(IMAGE)) == 0
    package.boxes = []
    assert len(estimator.estimate(IMAGE)) == 0


def test_models_that_cannot_be_used_are_named(
    package: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    package.joints, package.scores = np.ones((1, 26, 2)), np.ones((1, 26))
    with pytest.raises(InputError, match=r"joints of shape \(26, 2\), expected \(17, 2\)"):
        Rtmlib(RtmlibConfig()).estimate(IMAGE)
    with pytest.raises(InputError, match=r"no model nowhere\.onnx: expected an ONNX file"):
        Rtmlib(RtmlibConfig(pose="nowhere.onnx"))

    def fail(**_: object) -> None:
        raise OSError("no route\nto host")

    package.module.Body = fail
    with pytest.raises(InputError, match=r"cannot load the models of rtmlib's hub \(balanced\)"):
        Rtmlib(RtmlibConfig())
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(InputError, match=r"rtmlib cannot be imported .*hhmnet-ray\[rtmlib\]"):
        Rtmlib(RtmlibConfig())


def made_model(path: Path, size: tuple[int, int], **outputs: np.ndarray) -> str:
    """Write an ONNX file that returns constants for an image (1, 3, *size), and return its path."""
    onnx = pytest.importorskip("onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes, described = [], []
    for name, value in outputs.items():
        constant = onnx.numpy_helper.from_array(value.astype(np.float32), f"{name}_value")
        nodes += [
            helper.make_node("Constant", [], [f"{name}_raw"], value=constant),
            helper.make_node("ReduceMax", ["input"], [f"{name}_max"], keepdims=0),
            helper.make_node("Sub", [f"{name}_max", f"{name}_max"], [f"{name}_zero"]),
            helper.make_node("Add", [f"{name}_raw", f"{name}_zero"], [name]),
        ]
        described.append(helper.make_tensor_value_info(name, floats, value.shape))
    inputs = [helper.make_tensor_value_info("input", floats, (1, 3, *size))]
    graph = helper.make_graph(nodes, "made", inputs, described)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return str(path)


@pytest.fixture
def installed() -> None:
    pytest.importorskip("rtmlib")
    pytest.importorskip("onnxruntime")


def test_rtmo_model_runs_in_rtmlib(installed: None, tmp_path: Path) -> None:
    joints = np.random.default_rng(0).uniform(0, 320, (1, 3, 17, 3))
    joints[..., 2] = 0.8
    boxes = np.array([[[0, 0, 90, 90, 0.9], [200, 0, 290, 90, 0.8], [0, 0, 90, 91, 0.1]]])
    file = made_model(tmp_path / "a.onnx", (320, 320), dets=boxes, keypoints=joints)
    people = Rtmlib(RtmlibConfig(pose=file)).estimate(np.zeros((240, 320, 3), np.uint8))
    np.testing.assert_allclose(people.pixels, joints[0, :2, :, :2], atol=1e-3)
    assert people.confidence.shape == (2, 17)
    boxes[..., 4] = 0
    empty = made_model(tmp_path / "b.onnx", (320, 320), dets=boxes, keypoints=joints)
    assert len(Rtmlib(RtmlibConfig(pose=empty)).estimate(np.zeros((240, 320, 3), np.uint8))) == 0


def test_rtmpose_model_runs_in_rtmlib(installed: None, tmp_path: Path) -> None:
    across, down = np.zeros((1, 17, 384)), np.zeros((1, 17, 512))
    across[:, :, 192], down[:, :, 256] = 0.7, 0.9  # the middle of the box
    pose = made_model(tmp_path / "a.onnx", (256, 192), simcc_x=across, simcc_y=down)
    boxes = np.array([[[100, 50, 200, 150, 0.9]]])
    detector = made_model(tmp_path / "b.onnx", (320, 320), dets=boxes)
    people = Rtmlib(RtmlibConfig(pose=pose, detector=detector)).estimate(
        np.zeros((320, 320, 3), np.uint8)
    )
    np.testing.assert_allclose(people.pixels, np.broadcast_to([150, 100], (1, 17, 2)), atol=1e-3)
    with pytest.raises(InputError, match=r"RTMPose, which needs the boxes.*--rtmlib\.detector"):
        Rtmlib(RtmlibConfig(pose=pose))
