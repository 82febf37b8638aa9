"""Figures of one score table: top-1, confusion matrix, accuracy per class."""

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.fusion.scores import ScoreTable


def top1(table: ScoreTable) -> float:
    """The share of clips whose highest logit is the true class; NaN for an empty table."""
    if not len(table):
        return float("nan")
    return float(is_correct(table).mean())


def is_correct(table: ScoreTable) -> NDArray[np.bool_]:
    """(N,) of which clips the highest logit is the true class."""
    found: NDArray[np.bool_] = table.logits.argmax(1) == table.labels
    return found


def top1_without_copies(table: ScoreTable) -> float | None:
    """Top-1 of the clips that are no copies; None where there are no copies, or nothing else."""
    return accuracy_without_copies(table, is_correct(table))


def accuracy_without_copies(table: ScoreTable, right_n: NDArray[np.bool_]) -> float | None:
    """The same of any decisions on the table's clips, given which (N,) are right."""
    novel_n = np.array([sample_id not in table.copies for sample_id in table.sample_ids], bool)
    return float(right_n[novel_n].mean()) if 0 < novel_n.sum() < len(novel_n) else None


def count_confusions(table: ScoreTable) -> NDArray[np.int64]:
    """(K, K) clips by true class (row) and predicted class (column)."""
    num_classes = len(table.class_names)
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (table.labels, table.logits.argmax(1)), 1)
    return counts


def per_class_accuracy(table: ScoreTable) -> NDArray[np.float64]:
    """(K,) the share of each class's clips that are found; NaN for a class without clips."""
    counts = count_confusions(table)
    totals = counts.sum(1)
    accuracies = np.full(len(totals), np.nan)
    np.divide(counts.diagonal(), totals, out=accuracies, where=totals > 0)
    return accuracies
