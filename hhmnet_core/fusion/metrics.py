"""Metrics of one score table: top-1, with and without copies, top-5, and accuracy by class.

Shapes: N clips, K classes.
"""

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.fusion.scores import ScoreTable


def is_correct(table: ScoreTable) -> NDArray[np.bool_]:
    """Return for each clip (N,) whether the true class has the highest logit."""
    correct_n: NDArray[np.bool_] = table.logits.argmax(1) == table.labels
    return correct_n


def top1(table: ScoreTable) -> float:
    """Return the share of correctly classified clips; NaN for an empty table."""
    return float(is_correct(table).mean()) if len(table) else float("nan")


def top5(table: ScoreTable) -> float | None:
    """Return the share of clips whose true class is among the five highest logits.

    Of equal logits the class with the smaller index comes first, as for `top1`.

    None for fewer than 6 classes, where it says nothing; NaN for an empty table.
    """
    num_classes = len(table.class_names)
    if num_classes < 6:
        return None
    if not len(table):
        return float("nan")
    true_n1 = np.take_along_axis(table.logits, table.labels[:, None], 1)
    is_earlier_nk = np.arange(num_classes) < table.labels[:, None]
    ahead_nk = (table.logits > true_n1) | ((table.logits == true_n1) & is_earlier_nk)
    return float((ahead_nk.sum(1) < 5).mean())


def mean_class_accuracy(table: ScoreTable) -> float:
    """Return the mean accuracy of the classes that have clips; NaN for an empty table."""
    return float(np.nanmean(per_class_accuracy(table))) if len(table) else float("nan")


def top1_without_copies(table: ScoreTable) -> float | None:
    """Return the top-1 over the clips that are not copies.

    None if the table has no copies, or copies alone.
    """
    return accuracy_without_copies(table, is_correct(table))


def accuracy_without_copies(table: ScoreTable, correct_n: NDArray[np.bool_]) -> float | None:
    """Return the accuracy of any predictions over the table's clips that are not copies.

    None if the table has no copies, or copies alone.

    Args:
        table: The clips.
        correct_n: (N,) which of them are predicted correctly.
    """
    novel_n = np.array([sample_id not in table.copies for sample_id in table.sample_ids], bool)
    return float(correct_n[novel_n].mean()) if 0 < novel_n.sum() < len(novel_n) else None


def count_confusions(table: ScoreTable) -> NDArray[np.int64]:
    """Return the confusion matrix (K, K): clips by true (row) and predicted class (column)."""
    num_classes = len(table.class_names)
    counts_kk = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts_kk, (table.labels, table.logits.argmax(1)), 1)
    return counts_kk


def per_class_accuracy(table: ScoreTable) -> NDArray[np.float64]:
    """Return the share of correct clips of each class (K,); NaN for a class without clips."""
    counts_kk = count_confusions(table)
    totals_k = counts_kk.sum(1)
    accuracy_k = np.full(len(totals_k), np.nan)
    np.divide(counts_kk.diagonal(), totals_k, out=accuracy_k, where=totals_k > 0)
    return accuracy_k
