"""How sure a comparison of score tables is: intervals, paired tests, calibration, disagreement.

Shapes: N clips, K classes, S tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

BoolArray = NDArray[np.bool_]
Float64Array = NDArray[np.float64]
RESAMPLES = 2000


def bootstrap_interval(
    right_n: BoolArray, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 1
) -> tuple[float, float]:
    """Of a top-1, by bootstrap over clips (Efron's percentiles).

    Args:
        right_n: (N,) which clips are right.
        level: Of confidence.
        resamples: How often N clips are drawn with replacement.
        seed: Of the draws.
    """
    clips = len(right_n)
    # How many of N draws are right depends on the share alone.
    drawn = np.random.default_rng(seed).binomial(clips, right_n.mean(), resamples) / clips
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class PairedComparison:
    """Two classifiers on the same clips (McNemar, Psychometrika 1947, exact).

    Attributes:
        gained: Clips that the first has right and the second wrong.
        lost: The other way round.
        p_value: Of so uneven a pair of numbers, or a more uneven one, between equals.
    """

    gained: int
    lost: int
    p_value: float


def mcnemar(first_n: BoolArray, second_n: BoolArray) -> PairedComparison:
    """Whether the first is better, given which clips (N,) each has right."""
    gained, lost = int((first_n & ~second_n).sum()), int((~first_n & second_n).sum())
    p_value = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return PairedComparison(gained, lost, float(p_value))


def disagreement(said_sn: NDArray[np.int64]) -> Float64Array:
    """(S, S) share of clips on which two tables say another class, from what they say (S, N)."""
    return np.stack([(said_sn != one).mean(1) for one in said_sn])


@dataclass(frozen=True)
class Reliability:
    """How far confidence is accuracy.

    Attributes:
        confidence: (B,) mean confidence in each bin; NaN in an empty one.
        accuracy: (B,) share that is right.
        clips: (B,) how many.
        error: The expected calibration error: mean of their difference over clips.
    """

    confidence: Float64Array
    accuracy: Float64Array
    clips: NDArray[np.int64]
    error: float


def reliability(
    shares_nk: Float64Array, labels_n: NDArray[np.int64], bins: int = 15
) -> Reliability:
    """Of probabilities (N, K), in equal bins of the winner's (Guo et al., ICML 2017)."""
    winner_n = shares_nk.max(1)
    right_n = shares_nk.argmax(1) == labels_n
    bin_n = np.minimum((winner_n * bins).astype(np.int64), bins - 1)
    clips = np.bincount(bin_n, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bin_n, winner_n, bins) / clips
        accuracy = np.bincount(bin_n, right_n, bins) / clips
    gap = np.abs(np.nan_to_num(confidence - accuracy))
    return Reliability(
        confidence, accuracy, clips, float((gap * clips).sum() / max(1, len(right_n)))
    )


def most_frequent_confusions(
    counts_kk: NDArray[np.int64], names: Sequence[str], most: int = 15
) -> list[tuple[str, str, int, float]]:
    """The most frequent: true class, what it was taken for, clips, share of the true class."""
    wrong = counts_kk.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    totals = np.maximum(counts_kk.sum(1), 1)
    rows, columns = np.unravel_index(order, wrong.shape)
    return [
        (names[i], names[j], int(wrong[i, j]), float(wrong[i, j] / totals[i]))
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        if wrong[i, j]
    ]
