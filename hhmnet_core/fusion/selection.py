"""Ensemble selection from a library of models (Caruana et al., ICML 2004).

Greedy forward selection with replacement: each step adds the model that makes the averaged ensemble
best on validation, and a model's weight is the number of times it was added. Two guards of the
paper against overfitting to validation are implemented: sorted initialisation starts from the best
single models, and bagging repeats the selection on random subsets of the library.

The metric is the top-1; the log-loss decides between equals. Differs from the paper:
log-probabilities after temperature scaling are averaged instead of probabilities
(docs/decisions/0016-ensembles-average-logarithms.md).

Shapes: N clips, K classes, S candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from hhmnet_core.checks.bounds import MAX_SEED, check_bounds
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import stack_aligned
from hhmnet_core.fusion.scores import ScoreTable

MIN_BAG_SIZE = 8  # models; a smaller bag of few models selects by chance


@dataclass(frozen=True)
class SelectionConfig:
    """Settings of ensemble selection.

    Attributes:
        steps: Number of models that each bag adds to its ensemble, one at a time.
        initial: Number of best single models that each bag starts from.
        bags: Number of bags. Each selects from its own random subset of the models; the weights
            are the mean over all bags.
        bag_share: Share of the models in each bag, in (0, 1]. A bag has at least 8 models, or all
            if there are fewer.
        seed: Random seed of the bags.
    """

    steps: int = 25
    initial: int = 1
    bags: int = 20
    bag_share: float = 0.5
    seed: int = 1

    def __post_init__(self) -> None:
        check_bounds(
            self,
            "",
            steps=(1, 10_000),
            initial=(1, 10_000),
            bags=(1, 10_000),
            seed=(0, MAX_SEED),
        )
        if not 0 < self.bag_share <= 1:
            raise InputError(f"bag_share must be in (0, 1], but is {self.bag_share}.")


def log_probabilities(
    tables: Sequence[ScoreTable], temperatures: Sequence[float]
) -> NDArray[np.float64]:
    """Return log softmax(logits / T) of S tables (S, N, K), in the first table's order of clips.

    Args:
        tables: S tables of one split of the same data, their clips in any order.
        temperatures: (S,) a temperature T above 0 for each table.

    Raises:
        InputError: No tables, tables of different digests, splits, classes, clips or labels, or
            temperatures that do not fit.
    """
    if len(temperatures) != len(tables) or min(temperatures, default=1) <= 0:
        raise InputError(
            f"{len(tables)} tables need as many temperatures above 0, but got {temperatures}."
        )
    logits_snk = stack_aligned(tables)
    return np.stack(
        [
            log_softmax(logits_nk / temperature, axis=1)
            for logits_nk, temperature in zip(logits_snk, temperatures, strict=True)
        ]
    )


def select_weights(
    logs_snk: NDArray[np.float64], labels_n: NDArray[np.int64], config: SelectionConfig
) -> NDArray[np.float64]:
    """Select an ensemble and return the weights (S,) of the candidates, of sum 1.

    The best ensemble is the one of the highest top-1; among equals, the one of the lowest log-loss,
    then the one whose last added candidate comes first. Each bag keeps the best ensemble of all its
    steps.

    Args:
        logs_snk: (S, N, K) log-probabilities on val, see `log_probabilities`.
        labels_n: (N,) the true classes.
        config: Settings of the selection.

    Raises:
        InputError: No candidates or no clips.
    """
    candidates, clips = logs_snk.shape[:2]
    if not candidates or not clips:
        raise InputError(
            f"There are {candidates} models and {clips} clips to select on: give at least one each."
        )
    random = np.random.default_rng(config.seed)
    size = min(candidates, max(MIN_BAG_SIZE, round(config.bag_share * candidates)))
    counts_s = np.zeros(candidates)
    for _ in range(config.bags):
        bag = np.sort(random.choice(candidates, size, replace=False))
        counts_s[bag] += _select_one(logs_snk[bag], labels_n, config)
    weights: NDArray[np.float64] = counts_s / counts_s.sum()
    return weights


def _select_one(
    logs_snk: NDArray[np.float64], labels_n: NDArray[np.int64], config: SelectionConfig
) -> NDArray[np.float64]:
    """Return each candidate's share (S,) of the best ensemble of all steps."""
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
    """Return the candidates' indices (S,), the best first."""
    qualities = _quality(logs_snk, labels_n)
    order = sorted(range(len(qualities)), key=lambda at: (*(-q for q in qualities[at]), at))
    return np.array(order, dtype=np.int64)


def _quality(
    logs_snk: NDArray[np.float64], labels_n: NDArray[np.int64]
) -> list[tuple[float, float]]:
    """Return (top-1, minus log-loss) of each of S ensembles."""
    top1_s = (logs_snk.argmax(2) == labels_n).mean(1)
    own_sn = logs_snk[:, np.arange(len(labels_n)), labels_n]
    log_likelihood_s = (own_sn - logsumexp(logs_snk, axis=2)).mean(1)
    return list(zip(top1_s.tolist(), log_likelihood_s.tolist(), strict=True))
