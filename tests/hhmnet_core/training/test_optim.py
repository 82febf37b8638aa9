"""Schedule, averaged weights, weight decay, gradient clipping and the check for divergence."""

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
    check_converging,
    clip_gradients,
    learning_rate,
    make_optimizer,
    update_average,
    with_epochs,
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


@pytest.mark.parametrize(
    ("clips", "batch", "epochs"),
    [(320, 16, 100), (330, 16, 96), (16, 16, 200), (1_000_000, 16, 30), (0, 16, 200)],
)
def test_epochs_follow_the_training_set_unless_they_are_given(
    clips: int, batch: int, epochs: int
) -> None:
    assert with_epochs(OptimConfig(batch=batch), clips).epochs == epochs
    assert with_epochs(OptimConfig(batch=batch, epochs=7), clips).epochs == 7


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


def test_gradients_are_scaled_to_the_limit_only_where_they_exceed_it() -> None:
    one, other = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    one.grad, other.grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    clip_gradients([one, other], 10.0)
    assert one.grad.tolist() == [3, 0] and other.grad.tolist() == [4]
    clip_gradients([one, other], 1.0)
    torch.testing.assert_close(one.grad, torch.tensor([0.6, 0.0]), rtol=1e-5, atol=0)
    torch.testing.assert_close(other.grad, torch.tensor([0.8]), rtol=1e-5, atol=0)


def test_a_limit_of_zero_leaves_gradients_as_they_are() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3e3, -4e3])
    clip_gradients([parameter], OptimConfig(clip=0).clip)
    assert parameter.grad.tolist() == [3e3, -4e3]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_named_with_advice(value: float) -> None:
    check_converging(torch.tensor([1.0, -2.0]), "the loss", OptimConfig())
    with pytest.raises(
        InputError,
        match=r"Training diverged \(the loss\): lower optim\.lr \(0\.002\) or raise optim\.warmup",
    ):
        check_converging(torch.tensor([1.0, value]), "the loss", OptimConfig())


def test_weights_are_trained_in_the_precision() -> None:
    assert OptimConfig(precision="float64").dtype == torch.float64
    assert OptimConfig().dtype == torch.float32


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": -1},
        {"batch": 0},
        {"lr": -1},
        {"label_smoothing": 1.0},
        {"ema": 1.0},
        {"clip": -1},
    ],
)
def test_impossible_config_is_named(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"optim.{next(iter(bad))} must be"):
        OptimConfig(**bad)
