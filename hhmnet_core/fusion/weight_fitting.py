"""Fusion weights and temperatures of least log-loss, found by convex optimisation.

The fused logits are a weighted sum, as in `align.fuse`. The log-loss of their softmax is convex in
non-negative weights, so there is one optimum and no search. Fit on validation clips: on the clips
that a model was trained on, the model that memorised them best gets too much weight.

Shapes: N clips, K classes, S tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import stack_aligned
from hhmnet_core.fusion.scores import ScoreTable

Float64Array = NDArray[np.float64]
MIN_TEMPERATURE = 1e-3  # bounds the weights of standardised logits by its inverse


@dataclass(frozen=True)
class FittedWeights:
    """Fusion weights and their log-loss.

    Attributes:
        weights: (S,) at least 0. Their sum is an inverse temperature: logits multiplied by these
            weights themselves, not by their ratios, and added are calibrated.
        log_loss: Log-loss, in nats, of the fused logits on the clips that the weights were fitted
            on.
    """

    weights: Float64Array
    log_loss: float


def log_loss(logits_nk: NDArray[np.floating], labels_n: NDArray[np.int64]) -> float:
    """Return the mean negative log-likelihood of the labels under the softmax, in nats."""
    log_probabilities_nk = log_softmax(np.asarray(logits_nk, dtype=np.float64), axis=1)
    return float(-log_probabilities_nk[np.arange(len(labels_n)), labels_n].mean())


def fit_temperature(table: ScoreTable) -> float:
    """Return the T for which softmax(logits / T) has the least log-loss.

    This is temperature scaling (Guo et al., "On calibration of modern neural networks", ICML 2017,
    section 4.2).

    Raises InputError for a table without clips.
    """
    return float(1 / fit_weights([table]).weights[0])


def fit_weights(tables: Sequence[ScoreTable]) -> FittedWeights:
    """Return the non-negative fusion weights of least log-loss.

    Args:
        tables: S tables with the same clips, in any order; use those of val.

    Raises:
        InputError: No tables, tables without clips, or tables of different digests, splits,
            classes, clips or labels.
    """
    logits_snk = stack_aligned(tables)
    labels_n = tables[0].labels
    if not len(labels_n):
        raise InputError(f"{tables[0].title} has no clips to fit weights on.")
    # L-BFGS converges best if all coordinates have the same scale.
    scale_s = np.maximum(logits_snk.std(axis=(1, 2)), 1e-12)
    logits_snk = logits_snk / scale_s[:, None, None]
    clips_n = np.arange(len(labels_n))

    def loss_and_gradient(weights_s: Float64Array) -> tuple[float, Float64Array]:
        fused_nk = np.tensordot(weights_s, logits_snk, 1)
        excess_nk = softmax(fused_nk, axis=1)
        excess_nk[clips_n, labels_n] -= 1
        gradient_s = np.einsum("nk,snk->s", excess_nk, logits_snk) / len(clips_n)
        return log_loss(fused_nk, labels_n), gradient_s

    optimum = minimize(
        loss_and_gradient,
        np.full(len(tables), 1.0 / len(tables)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1 / MIN_TEMPERATURE)] * len(tables),
        options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-9},
    )
    weights_s = np.asarray(optimum.x, dtype=np.float64) / scale_s
    if not weights_s.any():  # no table is better than chance: a fusion still needs a weight
        weights_s = np.full(len(tables), MIN_TEMPERATURE)
    return FittedWeights(weights_s, float(optimum.fun))
