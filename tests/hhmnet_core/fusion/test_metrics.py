"""Metrics of one table against counts by hand."""

from dataclasses import replace

import numpy as np
import pytest
from score_tables import make_table

from hhmnet_core.fusion.metrics import (
    accuracy_without_copies,
    count_confusions,
    is_correct,
    mean_class_accuracy,
    per_class_accuracy,
    top1,
    top1_without_copies,
    top5,
)

# Labels are 0, 1, 2, 0, 1, 2: clips 2 and 5 are wrong.
TABLE = make_table(logits=np.eye(3, dtype=np.float32)[[0, 1, 0, 0, 1, 0]])


def test_top1_is_the_share_of_correct_clips() -> None:
    assert is_correct(TABLE).tolist() == [True, True, False, True, True, False]
    assert top1(TABLE) == pytest.approx(4 / 6)
    assert np.isnan(top1(make_table(num_clips=0)))


def test_confusions_and_accuracies_count_by_true_class() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    table = make_table(num_clips=4, labels=np.array([0, 1, 1, 1]), logits=logits)
    assert top1(table) == 0.75
    assert count_confusions(table).tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    np.testing.assert_allclose(per_class_accuracy(table), [1.0, 2 / 3, np.nan])


def test_mean_class_accuracy_leaves_out_classes_without_clips() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    table = make_table(num_clips=4, labels=np.array([0, 1, 1, 1]), logits=logits)
    assert mean_class_accuracy(table) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(mean_class_accuracy(make_table(num_clips=0)))


def test_top5_counts_the_five_first_by_logit_then_by_index() -> None:
    names = tuple(f"class {number}" for number in range(7))
    falling = np.arange(7, 0, -1, dtype=np.float32)
    table = make_table(
        num_clips=4,
        labels=np.array([4, 5, 4, 5]),
        logits=np.stack([falling, falling, np.ones(7, np.float32), np.ones(7, np.float32)]),
        class_names=names,
    )
    assert top5(table) == 0.5  # a network of equal logits finds no more than it does at random
    assert top5(TABLE) is None  # of fewer than 6 classes
    assert np.isnan(top5(make_table(num_clips=0, class_names=names, logits=np.zeros((0, 7)))))  # type: ignore[arg-type]


def test_copies_are_left_out_of_the_second_top1_only() -> None:
    marked = replace(TABLE, copies=frozenset({"clip0", "clip5"}))  # one correct, one wrong
    assert top1(marked) == pytest.approx(4 / 6)
    assert top1_without_copies(marked) == pytest.approx(3 / 4)
    assert accuracy_without_copies(marked, np.arange(6) < 3) == pytest.approx(2 / 4)


def test_without_copies_or_with_copies_alone_there_is_no_second_top1() -> None:
    assert top1_without_copies(TABLE) is None
    assert top1_without_copies(replace(TABLE, copies=frozenset(TABLE.sample_ids))) is None
