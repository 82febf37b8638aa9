"""Fusion weights that leave equal weights only as far as val can tell, used by every chooser.

The fitted weights w of S networks minimise

    n L(w) + sum over s of (w_s - mean of w)^2 / (2 (SPREAD c)^2),   w at least 0,

where L is the log-loss on val, c the weight that calibrates equal weights, and n the number of
independent clips that val is worth (`evidence.effective_clips`). The second term is a normal prior:
weights differ from their mean by SPREAD of it. The sum is convex; it leads from equal weights (n =
0) to those of least log-loss (n infinite), and a network that only harms gets weight 0. A
log-likelihood of dependent clips multiplied by n / N is a power likelihood (Holmes and Walker,
Biometrika 104, 2017).

Weights that differ from equal ones are used only where their gain on val exceeds its noise, as in
the one-standard-error rule (Breiman et al., "Classification and Regression Trees", 1984, section
3.4.3), here with two. See docs/decisions/0031-shrink-towards-equal.md.

Shapes: N clips, K classes, S tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import stack_aligned
from hhmnet_core.fusion.evidence import (
    PRIOR_CORRELATION,
    Gain,
    effective_clips,
    measure_gain,
    subjects_of,
    within_subjects,
)
from hhmnet_core.fusion.scores import ScoreTable

Float64Array = NDArray[np.float64]
Int64Array = NDArray[np.int64]
SPREAD = 0.5  # prior standard deviation of a weight, as a share of the mean weight
MAX_SCALE = 1e3  # bounds weights, as multiples of the calibrated equal weight


@dataclass(frozen=True)
class ChoiceBasis:
    """The basis of a choice of fusion weights.

    Attributes:
        chosen: "equal" weights, "fitted" ones, or "proposed" ones of a search or a selection.
        gain: Gain of the fitted weights over equal ones on val, in nats of log-loss per clip.
        top1_gain: Gain of the proposed weights on val over what was chosen of the other two, as a
            share of the clips. None: none were proposed.
    """

    chosen: Literal["equal", "fitted", "proposed"]
    gain: Gain
    top1_gain: Gain | None = None

    @property
    def is_equal(self) -> bool:
        return self.chosen == "equal"

    @property
    def text(self) -> str:
        """The choice and its figures, as a line for terminal and reports."""
        gain, top1 = self.gain, self.top1_gain
        figures = (
            f"fitted weights have {gain.mean:.3f} nats less log-loss on val than equal weights, "
            f"standard error {gain.error:.3f}"
        )
        if top1 is not None:
            figures += (
                f"; the weights of highest top-1 on val are {100 * top1.mean:+.1f} points better, "
                f"standard error {100 * top1.error:.1f}"
            )
        chosen = {
            "equal": "equal weights: the difference is within the noise",
            "fitted": "fitted weights",
            "proposed": "the weights of highest top-1 on val",
        }[self.chosen]
        return f"{chosen} ({figures}; {gain.worth})"


@dataclass(frozen=True)
class Choice:
    """Fusion weights chosen on val.

    Attributes:
        weights: (S,) at least 0, weights of the raw logits. Only their ratios matter.
        basis: Basis of the choice.
    """

    weights: Float64Array
    basis: ChoiceBasis


class ValScores:
    """The scores of networks on val, on which fusions are compared.

    Args:
        tables: S tables of one split of the same data, their clips in any order.

    Attributes:
        logits_snk: (S, N, K) raw logits, in the first table's order of clips.
        labels_n: (N,) the true classes.
        subjects_n: (N,) the subjects.

    Raises:
        InputError: No tables, tables without clips, or tables of different digests, splits,
            classes, clips or labels.
    """

    def __init__(self, tables: Sequence[ScoreTable]) -> None:
        self.logits_snk = stack_aligned(tables)
        self.labels_n = tables[0].labels
        self.subjects_n = subjects_of(tables)
        if not len(self.labels_n):
            raise InputError(f"{tables[0].title} has no clips to choose weights on.")

    def losses(self, weights_s: Float64Array) -> Float64Array:
        """Return the log-loss (N,) of each clip, with (S,) weights of the raw logits."""
        fused_nk = np.tensordot(weights_s, self.logits_snk, 1)
        logs_nk = log_softmax(fused_nk, axis=1)
        return -np.asarray(logs_nk[np.arange(len(self.labels_n)), self.labels_n])

    def correct(self, weights_s: Float64Array) -> Float64Array:
        """Return (N,) 1 for clips that weights (S,) classify correctly, 0 for others."""
        fused_nk = np.tensordot(weights_s, self.logits_snk, 1)
        return np.asarray(fused_nk.argmax(1) == self.labels_n, dtype=np.float64)

    def top1_gain(self, weights_s: Float64Array, others_s: Float64Array) -> Gain:
        """Return the gain in top-1 of weights (S,) over other weights (S,)."""
        gains_n = self.correct(weights_s) - self.correct(others_s)
        return measure_gain(gains_n, self.subjects_n)


def choose_weights(tables: Sequence[ScoreTable]) -> Choice:
    """Fit weights of the raw logits, and keep equal ones unless the gain exceeds its noise.

    Args:
        tables: S tables with the same clips, in any order; use those of val.

    Raises:
        InputError: As `ValScores`.
    """
    return choose_on(ValScores(tables))


def choose_on(val: ValScores) -> Choice:
    """Choose weights as `choose_weights` does."""
    equal_s = calibrated_equal(val)
    sizes_g = np.unique(val.subjects_n, return_counts=True)[1]
    # The correlation is that of the gain, and the gain depends on the weights: two rounds.
    correlation = PRIOR_CORRELATION
    for _ in range(2):
        fitted_s = fit_near(val, equal_s, effective_clips(sizes_g, correlation))
        gains_n = val.losses(equal_s) - val.losses(fitted_s)
        correlation = within_subjects(gains_n, val.subjects_n)
    gain = measure_gain(gains_n, val.subjects_n)
    if gain.is_clear and fitted_s.any():
        return Choice(fitted_s, ChoiceBasis("fitted", gain))
    return Choice(equal_s, ChoiceBasis("equal", gain))


def consider(val: ValScores, choice: Choice, proposed_s: Float64Array) -> Choice:
    """Return proposed weights where their top-1 on val is clearly higher, else the choice.

    Args:
        val: Scores on val.
        choice: Equal or fitted weights, by `choose_on`.
        proposed_s: (S,) weights of the raw logits, chosen by their top-1 on val.
    """
    gain = val.top1_gain(proposed_s, choice.weights)
    if gain.is_clear:
        return Choice(proposed_s, ChoiceBasis("proposed", choice.basis.gain, gain))
    return Choice(choice.weights, ChoiceBasis(choice.basis.chosen, choice.basis.gain, gain))


def calibrated_equal(val: ValScores) -> Float64Array:
    """Return equal weights (S,) of the raw logits that are calibrated on val.

    Their common value is the only number that is fitted; it changes no prediction.
    """
    num_tables = len(val.logits_snk)
    summed_1nk = val.logits_snk.sum(0, keepdims=True)
    scale = max(float(summed_1nk.std()), 1e-12)
    value = _minimise(summed_1nk / scale, val.labels_n, np.zeros((1, 1)), np.ones(1))[0] / scale
    return np.full(num_tables, max(value, 1 / (MAX_SCALE * scale)))


def fit_near(val: ValScores, equal_s: Float64Array, clips: float) -> Float64Array:
    """Return the weights (S,) of least log-loss and prior together, see the module.

    Args:
        val: Scores on val.
        equal_s: (S,) calibrated equal weights.
        clips: n, the number of independent clips that val is worth, above 0.
    """
    num_tables = len(equal_s)
    centring_ss = np.eye(num_tables) - 1 / num_tables
    logits_snk = val.logits_snk * equal_s[:, None, None]
    penalty_ss = centring_ss / (clips * SPREAD**2)
    return equal_s * _minimise(logits_snk, val.labels_n, penalty_ss, np.ones(num_tables))


def _minimise(
    logits_snk: Float64Array, labels_n: Int64Array, penalty_ss: Float64Array, start_s: Float64Array
) -> Float64Array:
    """Return the weights w (S,) of least log-loss plus w' penalty w / 2."""
    clips_n = np.arange(len(labels_n))

    def loss_and_gradient(weights_s: Float64Array) -> tuple[float, Float64Array]:
        fused_nk = np.tensordot(weights_s, logits_snk, 1)
        loss = -log_softmax(fused_nk, axis=1)[clips_n, labels_n].mean()
        excess_nk = softmax(fused_nk, axis=1)
        excess_nk[clips_n, labels_n] -= 1
        gradient_s = np.einsum("nk,snk->s", excess_nk, logits_snk) / len(clips_n)
        pull_s = penalty_ss @ weights_s
        return float(loss + weights_s @ pull_s / 2), gradient_s + pull_s

    optimum = minimize(
        loss_and_gradient,
        start_s,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, MAX_SCALE)] * len(start_s),
        options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-9},
    )
    return np.asarray(optimum.x, dtype=np.float64)
