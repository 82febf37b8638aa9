"""Schedule, averaged weights, weight decay, gradient clipping and the check for divergence."""

import math
from typing import Literal

import pytest
import torch
from torch import nn

from hhmnet_core.errors import InputError
from hhmnet_core.training.optim import (
    OptimConfig,
    average_weight,
    check_converging,
    class_weights,
    learning_rate,
    make_optimizer,
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


def test_an_average_forgets_its_start_and_then_decays_slowly() -> None:
    assert average_weight(0.99, 0) == pytest.approx(0.9)
    assert average_weight(0.99, 100_000) == pytest.approx(0.01)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_the_first_weights_decay(name: Literal["adamw", "sgd"]) -> None:
    decayed, others = (nn.Parameter(torch.ones(2)) for _ in range(2))
    decayed.grad, others.grad = torch.zeros(2), torch.zeros(2)
    config = OptimConfig(name=name, lr=0.1, weight_decay=0.5)
    make_optimizer(decayed, others, config).step()
    assert (decayed < 1).all() and (others == 1).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_named_with_advice(value: float) -> None:
    check_converging(torch.tensor([1.0, -2.0]), "the loss", OptimConfig())
    with pytest.raises(
        InputError,
        match=r"Training diverged \(the loss\): lower optim\.lr \(0\.002\) or raise optim\.warmup",
    ):
        check_converging(torch.tensor([1.0, value]), "the loss", OptimConfig())


def test_weights_of_classes_are_inverse_to_their_clips_and_1_on_average() -> None:
    labels_n = torch.tensor([0] * 20 + [2] * 4 + [3])
    weights_k = class_weights(labels_n, 5)
    assert weights_k.tolist() == pytest.approx([25 / 60, 0, 25 / 12, 25 / 3, 0], rel=1e-15)
    assert weights_k[labels_n].mean().item() == pytest.approx(1, rel=1e-15)
    assert class_weights(torch.arange(7).repeat(3), 7).tolist() == [1.0] * 7


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
