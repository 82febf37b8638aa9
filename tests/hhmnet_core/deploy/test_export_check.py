"""The check of exported files finds those that differ, and knows the ties of a model."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from random_networks import random_model, random_network, tensors_of

from hhmnet_core.deploy.export_check import BATCHES, check_graph, make_clip, pad
from hhmnet_core.deploy.export_formats import RunGraph
from hhmnet_core.deploy.graph import ModelGraph
from hhmnet_core.deploy.model import Model
from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import LAYOUTS

NUM_CLIPS = sum(map(len, BATCHES))


@pytest.fixture
def model_and_run() -> tuple[Model, RunGraph]:
    networks = [random_network("joint"), random_network("bone", "bone")]
    described, weights = random_model(networks), tensors_of(networks)
    graph = ModelGraph(described, weights)

    def run(*inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities, logits = graph(*map(torch.from_numpy, inputs))
        return probabilities.numpy(), logits.numpy()

    return Model(described, weights), run


def test_a_graph_that_equals_its_model_agrees(model_and_run: tuple[Model, RunGraph]) -> None:
    agreement = check_graph(model_and_run[1], model_and_run[0])
    assert (agreement.num_clips, agreement.num_undecided) == (NUM_CLIPS, 0)
    assert 0 < agreement.difference < 1e-6


def shifted_probabilities(outputs: tuple[np.ndarray, np.ndarray]) -> None:
    outputs[0][:, 0] += 2e-5


def shifted_logits(outputs: tuple[np.ndarray, np.ndarray]) -> None:
    outputs[1][:] += 1e-2  # the probabilities stay


def one_wrong_clip_of_a_batch(outputs: tuple[np.ndarray, np.ndarray]) -> None:
    if len(outputs[0]) > 1:
        outputs[0][3] = outputs[0][3][::-1]


def not_a_number(outputs: tuple[np.ndarray, np.ndarray]) -> None:
    outputs[0][0, 0] = np.nan


@pytest.mark.parametrize(
    "spoil", [shifted_probabilities, shifted_logits, one_wrong_clip_of_a_batch, not_a_number]
)
def test_a_graph_that_differs_is_refused(
    spoil: Callable[[tuple[np.ndarray, np.ndarray]], None], model_and_run: tuple[Model, RunGraph]
) -> None:
    model, run = model_and_run

    def spoiled(*inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        outputs = run(*inputs)
        spoil(outputs)
        return outputs

    with pytest.raises(InputError, match=r"differs from the model random.*was not written"):
        check_graph(spoiled, model)


def test_a_graph_that_reads_padding_is_refused(model_and_run: tuple[Model, RunGraph]) -> None:
    model, run = model_and_run

    def careless(joints: np.ndarray, frames: np.ndarray, bodies: np.ndarray) -> Any:
        filled = np.nan_to_num(joints)
        return run(filled, np.full_like(frames, joints.shape[2]), bodies)

    with pytest.raises(InputError, match="in a batch of 5"):
        check_graph(careless, model)


class ModelWithTies:
    """A model whose prediction jumps where the first joint of a clip is at one of some places."""

    layout = LAYOUTS["kinect_v1_20"]
    description = SimpleNamespace(name="ties", networks=[SimpleNamespace(name="joint", weight=1.0)])

    def __init__(self, ties: int) -> None:
        random = np.random.default_rng(1)
        clips = [make_clip(self.layout, *shape, random) for shapes in BATCHES for shape in shapes]
        self.ties = np.array([clip[-1, 0, 0, 0] for clip in clips[:ties]])

    def logits(self, clips: list[np.ndarray]) -> dict[str, np.ndarray]:
        places = np.array([clip[-1, 0, 0, 0] for clip in clips])
        above = np.array([(place > self.ties).sum() for place in places], np.float32)
        return {"joint": np.stack([above, np.zeros_like(above)], 1)}

    def probabilities(self, logits: dict[str, np.ndarray]) -> np.ndarray:
        weights = np.exp(logits["joint"])
        return weights / weights.sum(1, keepdims=True)

    def run(self, joints: np.ndarray, frames: np.ndarray, bodies: np.ndarray) -> Any:
        """Decide each tie the other way, as another program may."""
        nudged = joints * np.float32(1 + 1e-6)
        towards = np.where(joints > 0, nudged, joints * np.float32(1 - 1e-6))
        clips = [clip[:m] for clip, m in zip(towards, bodies, strict=True)]
        logits = self.logits(clips)
        return self.probabilities(logits), logits["joint"][:, None]


def test_clips_on_ties_decide_nothing() -> None:
    model = ModelWithTies(3)
    agreement = check_graph(model.run, model)  # type: ignore[arg-type]
    assert agreement.num_undecided == 3
    assert agreement.difference == 0


def test_a_model_that_jumps_everywhere_cannot_be_checked() -> None:
    model = ModelWithTies(NUM_CLIPS)
    with pytest.raises(InputError, match=r"own predictions jump.*cannot be checked"):
        check_graph(model.run, model)  # type: ignore[arg-type]


def test_made_clips_move_and_their_first_body_comes_late(seed: int) -> None:
    clip = make_clip(LAYOUTS["kinect_v2_25"], 2, 9, np.random.default_rng(seed))
    assert clip.shape == (2, 9, 25, 3) and clip.dtype == np.float32
    assert not clip[0, :3].any() and clip[0, 3:].all() and clip[1].all()
    assert np.abs(np.diff(clip[1], axis=0)).min(0).max() > 0


def test_padding_is_not_a_number() -> None:
    joints, frames, bodies = pad([np.ones((1, 2, 20, 3)), np.ones((2, 1, 20, 3))])
    assert joints.shape == (2, 2, 2, 20, 3) and joints.dtype == np.float32
    assert (frames.tolist(), bodies.tolist()) == ([2, 1], [1, 2])
    assert frames.dtype == bodies.dtype == np.int64
    assert np.isnan(joints[0, 1]).all() and np.isnan(joints[1, :, 1]).all()
    assert np.nansum(joints) == (2 + 2) * 20 * 3
