"""Schedule, averaged weights, weight decay, gradient clipping and the check for divergence."""

import math
from typing import Literal

import pytest
import torch
from torch import nn

from hhmnet_core.errors import InputError
from hhmnet_core.training.optim import (
    OptimConfig,
    check_converging,
    clip_gradient,
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
    average, current = torch.zeros(3), torch.ones(3)
    update_average(average, current, decay=0.99, step=0)
    assert average.tolist() == pytest.approx([0.9] * 3)
    update_average(average, current, decay=0.99, step=100_000)
    assert average.tolist() == pytest.approx([0.9 + 0.1 * 0.01] * 3)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_the_first_weights_decay(name: Literal["adamw", "sgd"]) -> None:
    decayed, others = (nn.Parameter(torch.ones(2)) for _ in range(2))
    decayed.grad, others.grad = torch.zeros(2), torch.zeros(2)
    config = OptimConfig(name=name, lr=0.1, weight_decay=0.5)
    make_optimizer(decayed, others, config).step()
    assert (decayed < 1).all() and (others == 1).all()


def test_a_gradient_is_scaled_to_the_limit_only_where_it_exceeds_it() -> None:
    gradient = torch.tensor([3.0, 0.0, 4.0])
    clip_gradient(gradient, 10.0)
    assert gradient.tolist() == [3, 0, 4]
    clip_gradient(gradient, 1.0)
    torch.testing.assert_close(gradient, torch.tensor([0.6, 0, 0.8]), rtol=1e-5, atol=0)


def test_a_limit_of_zero_leaves_the_gradient_as_it_is() -> None:
    gradient = torch.tensor([3e3, -4e3])
    clip_gradient(gradient, OptimConfig(clip=0).clip)
    assert gradient.tolist() == [3e3, -4e3]


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
