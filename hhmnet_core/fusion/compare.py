"""Comparisons of score tables: confidence intervals, paired tests, disagreement, calibration.

Shapes: N clips, K classes, S tables, B bins.
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
    correct_n: BoolArray, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 1
) -> tuple[float, float]:
    """Return a confidence interval of the top-1 by the percentile bootstrap over clips.

    See Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Args:
        correct_n: (N,) which clips are classified correctly.
        level: Confidence level, in (0, 1).
        resamples: Number of samples of N clips that are drawn with replacement.
        seed: Random seed of the draws.
    """
    num_clips = len(correct_n)
    # The number of correct clips in a sample depends on the clips through their top-1 alone.
    top1_r = np.random.default_rng(seed).binomial(num_clips, correct_n.mean(), resamples)
    low, high = np.quantile(top1_r / num_clips, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class PairedComparison:
    """Two classifiers on the same clips.

    Attributes:
        gained: Number of clips that only the first classifies correctly.
        lost: Number of clips that only the second classifies correctly.
        p_value: Two-sided p-value of the hypothesis that both are equally good.
    """

    gained: int
    lost: int
    p_value: float


def mcnemar(first_n: BoolArray, second_n: BoolArray) -> PairedComparison:
    """Compare two classifiers by McNemar's exact test (McNemar, Psychometrika, 1947).

    Args:
        first_n: (N,) which clips the first classifies correctly.
        second_n: (N,) the same of the second.
    """
    gained, lost = int((first_n & ~second_n).sum()), int((~first_n & second_n).sum())
    p_value = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return PairedComparison(gained, lost, float(p_value))


def disagreement(predictions_sn: NDArray[np.int64]) -> Float64Array:
    """Return the share of clips (S, S) on which two tables predict different classes.

    Args:
        predictions_sn: (S, N) predicted classes.
    """
    return np.stack([(predictions_sn != one_n).mean(1) for one_n in predictions_sn])


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of predictions, in bins of confidence.

    Attributes:
        confidence: (B,) mean confidence; NaN in an empty bin.
        accuracy: (B,) share of correct predictions; NaN in an empty bin.
        clips: (B,) number of clips.
        error: Expected calibration error: mean over clips of the bin's |confidence - accuracy|.
    """

    confidence: Float64Array
    accuracy: Float64Array
    clips: NDArray[np.int64]
    error: float


def reliability(
    probabilities_nk: Float64Array, labels_n: NDArray[np.int64], bins: int = 15
) -> Reliability:
    """Compare confidence with accuracy in bins (Guo et al., ICML 2017, section 2).

    Args:
        probabilities_nk: (N, K) predicted probabilities; the highest is the confidence.
        labels_n: (N,) the true classes.
        bins: B, number of bins of equal width.
    """
    confidence_n = probabilities_nk.max(1)
    correct_n = probabilities_nk.argmax(1) == labels_n
    bin_n = np.minimum((confidence_n * bins).astype(np.int64), bins - 1)
    clips = np.bincount(bin_n, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bin_n, confidence_n, bins) / clips
        accuracy = np.bincount(bin_n, correct_n, bins) / clips
    gap = np.abs(np.nan_to_num(confidence - accuracy))
    error = float((gap * clips).sum() / max(1, len(correct_n)))
    return Reliability(confidence, accuracy, clips, error)


@dataclass(frozen=True)
class Measured:
    """The accuracy of predictions.

    Attributes:
        correct: (N,) Whether a clip is classified correctly.
        top1: Share of them that are.
        interval: 95 % interval of the top-1, by bootstrap over clips.
        calibration_error: Expected calibration error.
    """

    correct: BoolArray
    top1: float
    interval: tuple[float, float]
    calibration_error: float


def measure(probabilities_nk: Float64Array, labels_n: NDArray[np.int64]) -> Measured:
    """Measure the probabilities (N, K) of clips of some classes (N,)."""
    correct_n = probabilities_nk.argmax(1) == labels_n
    error = reliability(probabilities_nk, labels_n).error
    return Measured(correct_n, float(correct_n.mean()), bootstrap_interval(correct_n), error)


def most_frequent_confusions(
    counts_kk: NDArray[np.int64], names: Sequence[str], limit: int = 15
) -> list[tuple[str, str, int, float]]:
    """Return the most frequent confusions, at most `limit` of them, the most frequent first.

    Args:
        counts_kk: (K, K) number of clips by true (row) and predicted class (column).
        names: K names of the classes.
        limit: Largest number of confusions to return.

    Returns:
        True class, predicted class, number of clips, and their share of the true class's clips.
    """
    wrong_kk = counts_kk.copy()
    np.fill_diagonal(wrong_kk, 0)
    order = np.argsort(-wrong_kk, axis=None, kind="stable")[:limit]
    totals_k = np.maximum(counts_kk.sum(1), 1)
    rows, columns = np.unravel_index(order, wrong_kk.shape)
    return [
        (names[i], names[j], int(wrong_kk[i, j]), float(wrong_kk[i, j] / totals_k[i]))
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        if wrong_kk[i, j]
    ]
