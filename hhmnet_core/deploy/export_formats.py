"""Files of an exported graph: ONNX, and pt2 of torch.export. Both are written and run in memory.

Shapes: N clips, M bodies, T frames, V joints, C coordinates, K classes, S networks.
"""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import Dim

from hhmnet_core.deploy.description import ModelDescription
from hhmnet_core.deploy.graph import ModelGraph
from hhmnet_core.errors import InputError

GraphFormat = Literal["onnx", "pt2"]
# (N, M, T, V, C) joints, (N,) frames, (N,) bodies -> (N, K) probabilities, (N, S, K) logits
RunGraph = Callable[
    [NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]],
    tuple[NDArray[np.float32], NDArray[np.float32]],
]

OPSET = 20  # of ONNX: the newest that torch's exporter writes without converting it
METADATA = "hhmnet.json"  # of a pt2 file, among its extra files
INPUTS = ("joints", "num_frames", "num_bodies")
OUTPUTS = ("probabilities", "logits")


def graph_metadata(description: ModelDescription, graph: ModelGraph) -> dict[str, str]:
    """Return what a file says about its model: texts, those of several values as JSON."""
    layout = description.skeleton
    return {
        "hhmnet_version": version("hhmnet-ray"),
        "model": description.name,
        "dataset": description.dataset,
        "class_names": json.dumps(description.class_names),
        "layout": layout.name,
        "joint_names": json.dumps(layout.joints),
        "networks": json.dumps(graph.network_names),
        "threshold": json.dumps(description.threshold),
    }


def write_graph(graph: ModelGraph, kind: GraphFormat, metadata: dict[str, str]) -> bytes:
    """Return the file of a graph.

    Raises:
        InputError: A package that ONNX needs is not installed.
    """
    return _write_onnx(graph, metadata) if kind == "onnx" else _write_pt2(graph, metadata)


def load_graph(content: bytes, kind: GraphFormat) -> RunGraph:
    """Return the graph of a file as a function on the CPU."""
    return _load_onnx(content) if kind == "onnx" else _load_pt2(content)


def check_packages(kind: GraphFormat) -> None:
    """Raise InputError unless the packages that a format needs are installed."""
    if kind == "pt2":
        return
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(
            "Export to ONNX needs the packages onnx, onnxruntime and onnxscript: "
            "pip install 'hhmnet-ray[export]'."
        ) from error


def _write_onnx(graph: ModelGraph, metadata: dict[str, str]) -> bytes:
    check_packages("onnx")
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            _example(graph),
            dynamo=True,
            opset_version=OPSET,
            input_names=INPUTS,
            output_names=OUTPUTS,
            dynamic_shapes=_dynamic_shapes(),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # The exporter's notes on each node: its source lines, with paths of this machine.
    for each in (model.graph, *model.graph.node):
        each.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for name, value in metadata.items():
        model.metadata_props.add(key=name, value=value)
    return bytes(model.SerializeToString())


def _write_pt2(graph: ModelGraph, metadata: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with _quiet(), torch.no_grad():
        program = torch.export.export(
            graph, _example(graph), dynamic_shapes=_dynamic_shapes(), strict=False
        )
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # source lines, with paths of this machine
        torch.export.save(program, file, extra_files={METADATA: json.dumps(metadata)})
    return file.getvalue()


def _load_onnx(content: bytes) -> RunGraph:
    from onnxruntime import InferenceSession

    session = InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(*inputs: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        probabilities, logits = session.run(OUTPUTS, dict(zip(INPUTS, inputs, strict=True)))
        return probabilities, logits

    return run


def _load_pt2(content: bytes) -> RunGraph:
    with _quiet():
        module = torch.export.load(io.BytesIO(content)).module()

    @torch.no_grad()
    def run(*inputs: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        probabilities, logits = module(*map(torch.from_numpy, inputs))
        return probabilities.numpy(), logits.numpy()

    return run


def _example(graph: ModelGraph) -> tuple[torch.Tensor, ...]:
    """Return inputs to trace a graph with. No size is 0 or 1, which a trace would take as fixed."""
    clips, bodies, frames = 3, 2, 5
    joints = torch.ones(clips, bodies, frames, graph.layout.num_joints, graph.layout.channels)
    return joints, torch.tensor([5, 4, 3]), torch.tensor([1, 2, 2])


def _dynamic_shapes() -> tuple[dict[int, Any], ...]:
    clips, bodies, frames = (Dim(name, min=1) for name in ("clips", "bodies", "frames"))
    return {0: clips, 1: bodies, 2: frames}, {0: clips}, {0: clips}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide what torch's exporters print about themselves."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it misses torchvision, which no network here uses
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
