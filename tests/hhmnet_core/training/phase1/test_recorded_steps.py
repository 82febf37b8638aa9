"""Recorded steps against steps taken one operation after the other.

A CPU has no graphs. In their place stands the list of operations that torch traces: like a graph it
holds fixed tensors and numbers, and none of the Python code around them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_core.training.recorded_steps import WARM_UP, RecordedSteps, Work

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CLOSE = {"rtol": 1e-6, "atol": 1e-7}  # the learning rate is a number of float32 there
EPOCHS = 4


class Tracer:
    """Records steps of a trainer as lists of operations."""

    def __init__(self, trainer: Phase1Trainer) -> None:
        self.trainer = trainer
        self.runs = self.replays = 0
        self.recorded: list[int] = []

    def run(self, work: Work) -> Tensor:
        self.runs += 1
        return work()

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        kept = [(tensor, tensor.clone()) for tensor in self.state()]
        results: list[Tensor] = []
        graph = make_fx(lambda: results.append(work()) or results[0])()
        for tensor, before in kept:  # tracing takes the step
            tensor.copy_(before)
        self.recorded.append(len(graph.graph.nodes))

        @torch.no_grad()
        def replay() -> None:
            self.replays += 1
            results[0].copy_(graph())

        return replay, results[0]

    def state(self) -> list[Tensor]:
        optimizer = self.trainer.optimizers[0]
        weights, states = optimizer.weights, optimizer._optimizer.state.values()
        moments = [value for state in states for value in state.values()]
        return [weights.memory_p, weights.gradient_q, optimizer.average_p, *moments]


@pytest.fixture
def config(small: Phase1Config) -> Phase1Config:
    contrast = ContrastConfig(weight=0.5, positives="class")
    optim = replace(small.optim, precision="float64", epochs=EPOCHS, warmup=1)
    return replace(small, contrast=contrast, optim=optim)


def take_steps(trainer: Phase1Trainer) -> list[Tensor]:
    return [
        trainer.train_step(prepared)
        for epoch in range(1, EPOCHS + 1)
        for _, prepared in trainer.prepared(epoch, trainer.epoch_order(epoch))
    ]


def test_recorded_steps_learn_what_others_learn(config: Phase1Config, tiny_clips: ClipSet) -> None:
    """With ragged clips of one and two bodies, a short last batch, and a falling rate."""
    plain, recorded = (
        Phase1Trainer(config, tiny_clips, Mesh(), CPU, stacked=True) for _ in range(2)
    )
    recorded.padding = True
    tracer = Tracer(recorded)
    recorded.recorded = RecordedSteps(recorded.take_step, tracer, CPU)
    expected, sums = take_steps(plain), take_steps(recorded)
    torch.testing.assert_close(torch.stack(sums), torch.stack(expected), **CLOSE)
    assert tracer.runs + tracer.replays == len(expected)
    assert tracer.replays > len(expected) / 3
    assert all(count > 500 for count in tracer.recorded)
    assert tracer.runs == sum(min(WARM_UP, seen) for seen in recorded.recorded._steps_seen.values())
    for mine, theirs in zip(plain.streams, recorded.streams, strict=True):
        for name, weight in mine.weights(False).items():
            torch.testing.assert_close(theirs.weights(False)[name], weight, **CLOSE, msg=name)


@pytest.mark.parametrize(
    ("device", "workers", "name", "message"),
    [
        (CPU, 1, "stst", "optim.capture is true, but there is no GPU here"),
        (CUDA, 2, "stst", "optim.capture is for one worker, but there are 2"),
        (CUDA, 1, "ctr_gcn", "model.name ctr_gcn normalises over the whole batch, of which no"),
    ],
)
def test_what_cannot_be_recorded_is_told(
    config: Phase1Config,
    tiny_clips: ClipSet,
    device: torch.device,
    workers: int,
    name: Any,
    message: str,
) -> None:
    mesh = Mesh()
    mesh.data = workers
    model, optim = replace(config.model, name=name), replace(config.optim, capture=True, batch=4)
    asked = replace(config, model=model, optim=optim)
    with pytest.raises(InputError, match=message):
        Phase1Trainer(asked, tiny_clips, mesh, device)
