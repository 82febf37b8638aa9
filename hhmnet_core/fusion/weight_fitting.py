"""Temperatures and fusion weights that are fitted on val, both by convex log-loss.

A weighted sum of logits is fused as `scores.fuse` does. The log-loss of its softmax is convex in
non-negative weights, so there is one optimum, found without a search; weights fitted on the clips
that a model was trained on would praise the model that has learnt them by heart.

Shapes: N clips, K classes, S tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import ScoreTable

Float64Array = NDArray[np.float64]
MIN_TEMPERATURE = 1e-3  # no weight or inverse temperature is pushed beyond 1 / COLDEST


@dataclass(frozen=True)
class FittedWeights:
    """Fusion weights.

    Attributes:
        weights: (S,) at least 0; their sum is an inverse temperature: logits fused with them, not
            with their ratios, are calibrated.
        log_loss: Of the fused logits on the clips that they were fitted on, nats.
    """

    weights: Float64Array
    log_loss: float


def log_loss(logits_nk: NDArray[np.floating], labels_n: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of the labels under the softmax, nats."""
    said_nk = log_softmax(np.asarray(logits_nk, dtype=np.float64), axis=1)
    return float(-said_nk[np.arange(len(labels_n)), labels_n].mean())


def fit_temperature(table: ScoreTable) -> float:
    """The T that makes softmax(logits / T) of least log-loss (Guo et al., ICML 2017).

    Raises InputError for a table without clips.
    """
    return float(1 / fit_weights([table]).weights[0])


def fit_weights(tables: Sequence[ScoreTable]) -> FittedWeights:
    """The non-negative weights of least log-loss.

    Args:
        tables: Of the same clips of val; joined by sample id.

    Raises:
        InputError: No tables, none with clips, or tables that do not belong together.
    """
    first = fuse(tables)
    if not len(first):
        raise InputError(f"{first.title} has no clips to fit weights on.")
    # A fusion with one table's weight alone brings its rows into the first one's order.
    aligned = [
        fuse(tables, [float(at == other) for other in range(len(tables))]).logits
        for at in range(len(tables))
    ]
    logits_snk = np.stack(aligned).astype(np.float64)
    # Tables differ in scale; the optimiser should not.
    scale_s = np.maximum(logits_snk.std(axis=(1, 2)), 1e-12)
    logits_snk = logits_snk / scale_s[:, None, None]
    clips, labels = np.arange(len(first)), first.labels

    def loss(weights_s: Float64Array) -> tuple[float, Float64Array]:
        fused_nk = np.tensordot(weights_s, logits_snk, 1)
        excess_nk = softmax(fused_nk, axis=1)
        excess_nk[clips, labels] -= 1
        slope_s = np.einsum("nk,snk->s", excess_nk, logits_snk) / len(clips)
        return log_loss(fused_nk, labels), slope_s

    found = minimize(
        loss,
        np.full(len(tables), 1.0 / len(tables)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1 / MIN_TEMPERATURE)] * len(tables),
        options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-9},
    )
    weights = np.asarray(found.x, dtype=np.float64) / scale_s
    if not weights.any():  # nothing says more than chance: all alike, and as cold as allowed
        weights = np.full(len(tables), MIN_TEMPERATURE)
    return FittedWeights(weights, float(found.fun))
