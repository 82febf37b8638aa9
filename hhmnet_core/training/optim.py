"""Optimiser, learning-rate schedule and weight averaging."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from hhmnet_core.errors import InputError


@dataclass
class OptimConfig:
    """How an encoder is trained: linear warm-up, then cosine to zero.

    Attributes:
        name: "adamw", or "sgd" with Nesterov momentum 0.9, which the graph-convolutional
            baselines were published with.
        epochs: Passes over the training clips.
        batch: Clips in a global batch; what a worker takes of it follows from the mesh.
        lr: Peak learning rate.
        warmup: Epochs of linear warm-up.
        weight_decay: Of matrices alone, neither biases, norms nor embeddings; decoupled in AdamW.
        label_smoothing: Of the cross-entropy, in [0, 1).
        clip: Largest norm of one encoder's gradient.
        ema: Decay of the averaged weights that are evaluated; 0 evaluates the weights themselves.
        precision: Of weights and arithmetic.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    epochs: int = 12
    batch: int = 16
    lr: float = 2e-3
    warmup: float = 2
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    clip: float = 1.0
    ema: float = 0.99
    precision: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 1),
            ("batch", 1),
            ("lr", 0),
            ("warmup", 0),
            ("weight_decay", 0),
        ):
            if getattr(self, name) < least:
                raise InputError(
                    f"optim.{name} must be at least {least}, but is {getattr(self, name)}."
                )
        for name in ("label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"optim.{name} must be in [0, 1), but is {getattr(self, name)}.")
        if self.clip <= 0:
            raise InputError(f"optim.clip must be above 0, but is {self.clip}.")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.precision == "float64" else torch.float32


def check_converging(values: Tensor, what: str, config: OptimConfig) -> None:
    """Raises InputError, which names what has diverged, where a value is NaN or infinite."""
    if not values.isfinite().all():
        raise InputError(
            f"Training diverged ({what}): lower optim.lr ({config.lr}) or raise optim.warmup "
            f"({config.warmup})."
        )


def learning_rate(config: OptimConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of a step (from 0): linear up to the peak, then half a cosine down to zero."""
    warmup = config.warmup * steps_per_epoch
    if step < warmup:
        return config.lr * (step + 1) / warmup
    done = (step - warmup) / max(1, config.epochs * steps_per_epoch - warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Over a model's parameters, weight decay on the weights of linear maps alone."""
    linear = (nn.Linear, nn.Conv2d)
    decayed = {id(m.weight) for m in model.modules() if isinstance(m, linear)}
    groups = [
        {
            "params": [p for p in model.parameters() if id(p) in decayed],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for p in model.parameters() if id(p) not in decayed], "weight_decay": 0.0},
    ]
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def clip_gradients(parameters: Sequence[Tensor], limit: float) -> None:
    """Scales gradients to a joint norm of at most `limit`; never waits for the device."""
    nn.utils.clip_grad_norm_(parameters, limit, foreach=True)


@torch.no_grad()
def update_average(
    average: dict[str, Tensor], current: dict[str, Tensor], decay: float, step: int
) -> None:
    """Moves averaged weights to the current; early steps count more, so that it starts unbiased."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_([average[name] for name in current], list(current.values()), weight)
