"""Optimiser, learning-rate schedule and averaged weights."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from hhmnet_core.checks.bounds import check_bounds
from hhmnet_core.errors import InputError
from hhmnet_core.identity import apart, later

MAX_EPOCHS = 100_000
DEFAULT_STEPS, DEFAULT_EPOCHS = 2000, (30, 200)
MAX_FLOAT32 = 3.4e38


@dataclass
class OptimConfig:
    """Optimisation of each network.

    Attributes:
        name: Optimiser: "adamw", or "sgd" with Nesterov momentum 0.9, with which the
            graph-convolutional baselines were published.
        epochs: Number of passes over the training clips. 0: as many as make 2,000 training steps,
            at least 30 and at most 200.
        batch: Clips in a global batch, which the data-parallel workers share.
        lr: Peak learning rate, after a linear warm-up and before a cosine to zero.
        warmup: Epochs of linear warm-up. 0 starts at the peak.
        weight_decay: Weight decay of linear and convolution weights, decoupled in AdamW; biases,
            norms and embeddings do not decay.
        label_smoothing: Label smoothing of the cross-entropy, in [0, 1).
        class_weight: Weight of a clip's cross-entropy: "none", or "balanced", N / (K n_k) for one
            of the n_k clips of a class, of N training clips and K classes: all classes count alike.
        clip: Largest norm of one network's gradient; larger ones are scaled down to it. 0 switches
            clipping off, as the graph-convolutional baselines were published.
        ema: Decay of the averaged weights that are evaluated, in [0, 1). 0 evaluates the weights
            themselves.
        precision: Arithmetic of the networks. "float32" and "float64" are also the types of the
            weights; "tf32" multiplies numbers of float32 with 10 bits, on NVIDIA GPUs; "bf16"
            computes products in bfloat16, but weights, norms, softmax, re-ranking and losses in
            float32, and scores in float32.
        compile: Compilation of phase 1's encoders with torch.compile, which takes minutes at the
            start and needs a C compiler. It changes results by rounding alone, so it is no part of
            a run's name. Default: on GPUs, where there is a compiler.
        capture: Recording of whole training steps as CUDA graphs, one for each shape of a batch,
            which are launched at once; for one worker with one GPU. It changes results by rounding
            alone, so it is no part of a run's name. It has not been run on a GPU yet: compare with
            `benchmarks/gpu.py` first.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    epochs: int = 0
    batch: int = 16
    lr: float = 2e-3
    warmup: float = 2
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    class_weight: Literal["none", "balanced"] = later("none")
    clip: float = 1.0
    ema: float = 0.99
    precision: Literal["float32", "float64", "tf32", "bf16"] = "float32"
    compile: bool | None = apart(None)
    capture: bool = apart(False)

    def __post_init__(self) -> None:
        check_bounds(
            self,
            "optim.",
            epochs=(0, MAX_EPOCHS),
            batch=(1, 65_536),
            lr=(0, MAX_FLOAT32),
            warmup=(0, MAX_EPOCHS),
            weight_decay=(0, 1000),
        )
        for name in ("label_smoothing", "ema"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"optim.{name} must be in [0, 1), but is {getattr(self, name)}.")
        if self.clip < 0:
            raise InputError(f"optim.clip must be at least 0, but is {self.clip}.")

    @property
    def dtype(self) -> torch.dtype:
        """Data type of the weights."""
        return torch.float64 if self.precision == "float64" else torch.float32


def with_epochs(config: OptimConfig, num_training_clips: int) -> OptimConfig:
    """Return the config with its number of epochs, where that is 0 the one for the training set.

    What a network has learnt depends on its steps; small sets give few of them in an epoch.
    """
    if config.epochs:
        return config
    fewest, most = DEFAULT_EPOCHS
    steps_per_epoch = max(1, -(-num_training_clips // config.batch))
    epochs = min(max(fewest, -(-DEFAULT_STEPS // steps_per_epoch)), most)
    return replace(config, epochs=epochs)


def check_converging(values: Tensor, what: str, config: OptimConfig) -> None:
    """Check that all values are finite. Raises InputError, which names `what` has diverged."""
    if not values.isfinite().all():
        raise InputError(
            f"Training diverged ({what}): lower optim.lr ({config.lr}) or raise optim.warmup "
            f"({config.warmup})."
        )


def learning_rate(config: OptimConfig, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step, counted from 0 over the whole training.

    It rises linearly to the peak, then falls as half a cosine to zero (Loshchilov and Hutter, ICLR
    2017, without restarts).
    """
    warmup = config.warmup * steps_per_epoch
    if step < warmup:
        return config.lr * (step + 1) / warmup
    done = (step - warmup) / max(1, config.epochs * steps_per_epoch - warmup)
    return config.lr * 0.5 * (1 + math.cos(math.pi * done))


def class_weights(labels_n: Tensor, num_classes: int) -> Tensor:
    """Return the weight of each class, (K,), inverse to its number of clips and 1 on their average.

    Args:
        labels_n: (N,) classes of the training clips. Those that have none get 0.
        num_classes: K.
    """
    counts_k = labels_n.bincount(minlength=num_classes).double()
    present = counts_k > 0
    return torch.where(present, len(labels_n) / (present.sum() * counts_k.clamp_min(1)), 0.0)


def make_optimizer(
    decayed: nn.Parameter, others: nn.Parameter, config: OptimConfig
) -> torch.optim.Optimizer:
    """Return an optimiser of weights that decay and of others that do not."""
    groups = [
        {"params": [decayed], "weight_decay": config.weight_decay},
        {"params": [others], "weight_decay": 0.0},
    ]
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=config.lr, fused=True, capturable=config.capture)


def average_weight(decay: float, step: int) -> float:
    """Return the weight of the current weights in the averaged ones, after a step.

    Early steps use a smaller decay, (1 + step) / (10 + step), so that the average forgets the
    initial weights.

    Args:
        decay: Largest decay.
        step: Number of the step, from 0 over the whole training.
    """
    return 1 - min(decay, (1 + step) / (10 + step))
