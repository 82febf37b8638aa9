"""Ensemble selection from a library of models (Caruana et al., ICML 2004).

Greedy forward selection with replacement: the model that, averaged in, makes the ensemble best on
val is added, again and again; how often a model is in is its weight. The paper's two guards
against fitting val are here: a start from the best few models (sorted initialisation), and bagging,
in which each bag selects from a random part of the library; a small library is no place for bags.

Averaged are the logarithms of calibrated probabilities, not the probabilities: the field fuses by
the sum of logits, and here too that is worth points (docs/results.md).

Shapes: N clips, K classes, S candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import ScoreTable

LEAST_BAG = 8  # models, where there are as many


@dataclass(frozen=True)
class SelectionConfig:
    """How an ensemble is selected.

    Attributes:
        steps: Models that a bag adds.
        initial: The best single models that each bag starts with.
        bags: Each selects from a part of the library; their counts are added.
        bag_share: Of the library, in a bag; at least 8 models.
        seed: Of the bags.
    """

    steps: int = 25
    initial: int = 1
    bags: int = 20
    bag_share: float = 0.5
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "initial", "bags"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, but is {getattr(self, name)}.")
        if not 0 < self.bag_share <= 1:
            raise InputError(f"bag_share must be in (0, 1], but is {self.bag_share}.")


def log_probabilities(
    tables: Sequence[ScoreTable], temperatures: Sequence[float]
) -> NDArray[np.float64]:
    """(S, N, K) of the tables' log softmax(logits / T), in the first one's order of clips.

    Raises InputError where the tables do not belong together, or temperatures do not fit.
    """
    if len(temperatures) != len(tables) or min(temperatures, default=1) <= 0:
        raise InputError(
            f"{len(tables)} tables need as many temperatures above 0, but got {temperatures}."
        )
    fuse(tables)  # refuses what does not belong together
    stacked = []
    for at, temperature in enumerate(temperatures):
        alone = fuse(tables, [float(at == other) for other in range(len(tables))])
        stacked.append(log_softmax(alone.logits.astype(np.float64) / temperature, axis=1))
    return np.stack(stacked)


def select_weights(
    logs_snk: NDArray[np.float64], labels_n: NDArray[np.int64], config: SelectionConfig
) -> NDArray[np.float64]:
    """Weights (S,) of the candidates, of sum 1.

    Best is the highest top-1; among equals the lowest log-loss, then the candidate that comes
    first. A bag ends with its best ensemble, which may be one of fewer models than it has added.

    Args:
        logs_snk: See `log_probabilities`, on val.
        labels_n: The true classes.
        config: How.

    Raises:
        InputError: No candidates or no clips.
    """
    candidates, clips = logs_snk.shape[:2]
    if not candidates or not clips:
        raise InputError(f"There are {candidates} models and {clips} clips to select on.")
    random = np.random.default_rng(config.seed)
    size = min(candidates, max(LEAST_BAG, round(config.bag_share * candidates)))
    counts_s = np.zeros(candidates)
    for _ in range(config.bags):
        bag = np.sort(random.choice(candidates, size, replace=False))
        counts_s[bag] += _select_one(logs_snk[bag], labels_n, config)
    weights: NDArray[np.float64] = counts_s / counts_s.sum()
    return weights


def _select_one(
    logs_snk: NDArray[np.float64], labels_n: NDArray[np.int64], config: SelectionConfig
) -> NDArray[np.float64]:
    """How often each candidate is in the best ensemble on the way, as shares of it."""
    order = _best_first(logs_snk, labels_n)
    initial = order[: config.initial]
    counts_s = np.bincount(initial, minlength=len(logs_snk)).astype(np.float64)
    sum_nk = logs_snk[initial].sum(0)
    best, best_counts = _quality(sum_nk[None] / counts_s.sum(), labels_n)[0], counts_s.copy()
    for _ in range(config.steps):
        mixed_snk = (sum_nk + logs_snk) / (counts_s.sum() + 1)
        qualities = _quality(mixed_snk, labels_n)
        added = max(range(len(qualities)), key=lambda at: (*qualities[at], -at))
        counts_s[added] += 1
        sum_nk = sum_nk + logs_snk[added]
        if qualities[added] > best:
            best, best_counts = qualities[added], counts_s.copy()
    shares_s: NDArray[np.float64] = best_counts / best_counts.sum()
    return shares_s


def _best_first(logs_snk: NDArray[np.float64], labels_n: NDArray[np.int64]) -> NDArray[np.int64]:
    qualities = _quality(logs_snk, labels_n)
    order = sorted(range(len(qualities)), key=lambda at: (*(-q for q in qualities[at]), at))
    return np.array(order, dtype=np.int64)


def _quality(
    logs_snk: NDArray[np.float64], labels_n: NDArray[np.int64]
) -> list[tuple[float, float]]:
    """(top-1, minus log-loss) of each of S ensembles."""
    right_s = (logs_snk.argmax(2) == labels_n).mean(1)
    own_sn = logs_snk[:, np.arange(len(labels_n)), labels_n]
    log_s = (own_sn - logsumexp(logs_snk, axis=2)).mean(1)
    return list(zip(right_s.tolist(), log_s.tolist(), strict=True))
