"""The two networks of BlazePose, run by LiteRT on one CPU core."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.poses.blazepose.landmarks import LANDMARKS, Outputs
from hhmnet_core.poses.models import ADVICE
from hhmnet_core.skeleton.missing import Float32Array


def interpreter() -> Any:
    """Return LiteRT's class of interpreters. Raises InputError where it is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise InputError(
            f"The package ai-edge-litert, which runs BlazePose, cannot be imported ({error}): "
            f"{ADVICE}, or pip install 'hhmnet-ray[poses]'."
        ) from error
    return Interpreter


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what LiteRT's library reports about its start out of the terminal."""
    try:
        stderr = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


class Network:
    """A LiteRT model of one input.

    Args:
        content: The .tflite file.

    Raises:
        InputError: LiteRT is not installed.
    """

    def __init__(self, content: bytes) -> None:
        with _quiet():
            self._interpreter: Any = interpreter()(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def run(self, image: Float32Array) -> list[Float32Array]:
        """Return the outputs for an image (H, W, 3), without their first axis of one."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]


class Detector(Network):
    """The network that finds people: an image (224, 224, 3) of values from -1 to 1."""

    def detect(self, image: Float32Array) -> tuple[Float32Array, Float32Array]:
        """Return boxes (A, 12) and logits of scores (A,)."""
        boxes, scores = self.run(image)
        return boxes, scores[:, 0]


class LandmarkNetwork(Network):
    """The network that finds a person's joints: an image (256, 256, 3) of values from 0 to 1."""

    def outputs(self, image: Float32Array) -> Outputs:
        """Return the network's outputs. The mask of the person is not read."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        landmarks, present, _, heat, world = self._outputs

        def read(index: int) -> Float32Array:
            return np.asarray(self._interpreter.get_tensor(index)[0], np.float32)

        return Outputs(
            landmarks=read(landmarks).reshape(LANDMARKS, 5),
            present=float(read(present)[0]),
            heat=read(heat),
            world=read(world).reshape(LANDMARKS, 3),
        )
