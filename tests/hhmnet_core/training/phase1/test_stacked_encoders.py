"""Encoders trained as one against the same encoders one after the other."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_core.training.records import Progress

CPU = torch.device("cpu")
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def make(config: Phase1Config, clips: ClipSet, stacked: bool) -> Phase1Trainer:
    return Phase1Trainer(config, clips, Mesh(), CPU, stacked=stacked)


def take_steps(trainer: Phase1Trainer, epoch: int, steps: int) -> list[torch.Tensor]:
    order = trainer.epoch_order(epoch)
    prepared = trainer.prepared(epoch, order)
    return [trainer.train_step(each) for _, (_, each) in zip(range(steps), prepared, strict=False)]


def assert_equal_weights(one: Phase1Trainer, other: Phase1Trainer) -> None:
    for mine, theirs in zip(one.streams, other.streams, strict=True):
        assert mine.member == theirs.member
        for name, weight in mine.model.state_dict().items():
            torch.testing.assert_close(theirs.model.state_dict()[name], weight, **CLOSE, msg=name)
        for name, weight in mine.average.items():
            torch.testing.assert_close(theirs.average[name], weight, **CLOSE, msg=name)


@pytest.fixture
def double(small: Phase1Config) -> Phase1Config:
    contrast = ContrastConfig(weight=0.5, positives="class")
    return replace(small, contrast=contrast, optim=replace(small.optim, precision="float64"))


@pytest.mark.parametrize(
    ("model", "contrast"),
    [
        ({}, {}),
        ({"mask": False, "rerank": False}, {"weight": 0.0}),
        ({"re_dmt": 1}, {"positives": "clip", "learn_temperature": True}),
        ({"attention": False, "dropout": 0.0}, {}),
    ],
)
def test_gradients_and_sums_equal_those_of_the_loop(
    double: Phase1Config, tiny_clips: ClipSet, model: dict[str, Any], contrast: dict[str, Any]
) -> None:
    """On clips of one and two bodies."""
    config = replace(
        double,
        model=replace(double.model, **model),
        contrast=replace(double.contrast, **contrast),
    )
    loop, stack = (make(config, tiny_clips, stacked) for stacked in (False, True))
    prepared = loop.prepare(1, 0, loop.epoch_order(1)[0])
    sums = [each.backward(prepared.share, prepared.inputs) for each in (loop, stack)]
    torch.testing.assert_close(sums[1], sums[0], **CLOSE)
    for mine, theirs in zip(loop.streams, stack.streams, strict=True):
        gradients = {name: p.grad for name, p in theirs.model.named_parameters()}
        for name, parameter in mine.model.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, **CLOSE, msg=name)


def test_weights_equal_those_of_the_loop_after_some_steps(
    double: Phase1Config, tiny_clips: ClipSet
) -> None:
    loop, stack = (make(double, tiny_clips, stacked) for stacked in (False, True))
    for one, other in zip(take_steps(loop, 1, 3), take_steps(stack, 1, 3), strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
    assert_equal_weights(loop, stack)


@pytest.mark.parametrize("first", [False, True])
def test_a_checkpoint_of_one_is_resumed_by_the_other(
    double: Phase1Config, tiny_clips: ClipSet, tmp_path: Path, first: bool
) -> None:
    before, after = make(double, tiny_clips, first), make(double, tiny_clips, not first)
    take_steps(before, 1, 2)
    before.state(Progress([])).save(tmp_path)
    after.load(tmp_path)
    assert_equal_weights(before, after)
    take_steps(before, 2, 2)
    take_steps(after, 2, 2)
    assert_equal_weights(before, after)
