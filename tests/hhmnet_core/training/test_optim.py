"""The schedule at its corners, the average by hand, the decay where it belongs."""

import math

import pytest
import torch
from torch import nn

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.training.optim import (
    OptimConfig,
    learning_rate,
    make_optimizer,
    update_average,
)


def test_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    config = OptimConfig(epochs=10, lr=0.4, warmup=2)
    rates = [learning_rate(config, step, steps_per_epoch=5) for step in range(50)]
    assert rates[:10] == pytest.approx([0.04 * (step + 1) for step in range(10)])
    assert rates[10] == 0.4
    assert rates[30] == pytest.approx(0.2)
    assert rates[49] == pytest.approx(0.2 * (1 + math.cos(math.pi * 39 / 40)))


def test_without_warmup_training_starts_at_the_peak() -> None:
    assert learning_rate(OptimConfig(lr=0.1, warmup=0), 0, 5) == 0.1


def test_average_moves_by_its_decay_and_starts_unbiased() -> None:
    model = nn.Linear(1, 1)
    average = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    nn.init.ones_(model.weight)
    current = {name: p.detach() for name, p in model.named_parameters()}
    update_average(average, current, decay=0.99, step=0)
    assert average["weight"].item() == pytest.approx(0.9)
    update_average(average, current, decay=0.99, step=100_000)
    assert average["weight"].item() == pytest.approx(0.9 + 0.1 * 0.01)


def test_only_linear_maps_decay() -> None:
    model = Stst(ModelConfig(widths=[16, 32], heads=2), get_layout("kinect_v1_20"), 3)
    decayed, free = (
        set(map(id, g["params"])) for g in make_optimizer(model, OptimConfig()).param_groups
    )
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() > 1 and not name.endswith(("embedding", "map", "hop_bias"))
        assert id(parameter) in (decayed if is_matrix else free), name


@pytest.mark.parametrize(
    "bad",
    [{"epochs": 0}, {"batch": 0}, {"lr": -1}, {"label_smoothing": 1.0}, {"ema": 1.0}, {"clip": 0}],
)
def test_impossible_config_is_named(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"optim.{next(iter(bad))} must be"):
        OptimConfig(**bad)
