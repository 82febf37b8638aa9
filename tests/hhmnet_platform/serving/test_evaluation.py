"""Figures of predictions against closed forms."""

import numpy as np
import pytest

from hhmnet_platform.serving.evaluation import assess_predictions

NAMES = ("a", "b", "c", "d", "e", "f", "g")


def test_figures_of_a_few_predictions() -> None:
    probabilities = np.full((4, 7), 0.05)
    probabilities[0, 0] = probabilities[1, 0] = probabilities[2, 1] = 0.7
    probabilities[3] = [0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05]
    labels = np.array([0, 0, 2, 5])
    report = assess_predictions(
        probabilities, labels, NAMES, model="m", dataset="d", split="all", left_out=3
    )
    assert report.clips == 4 and report.left_out == 3
    assert report.top1 == 0.5
    # The third clip's class is among six of equal probability, behind one: it counts as second.
    assert report.top5 == 0.75
    assert report.mean_class == pytest.approx((1 + 0 + 0) / 3)
    expected = -np.log([0.7, 0.7, 0.05, 0.08]).mean()
    assert report.log_loss == pytest.approx(expected)
    assert [each.clips for each in report.classes] == [2, 0, 1, 0, 0, 1, 0]
    assert [each.top1 for each in report.classes] == [1.0, None, 0.0, None, None, 0.0, None]
    assert np.array(report.confusion_matrix).sum() == 4
    assert report.confusions[0][2] == 1
    low, high = report.interval
    assert 0 <= low <= 0.5 <= high <= 1


def test_a_certain_error_has_a_finite_loss() -> None:
    report = assess_predictions(
        np.array([[1.0, 0.0]]), np.array([1]), ("a", "b"),
        model="m", dataset="d", split="all", left_out=0,
    )  # fmt: skip
    assert np.isfinite(report.log_loss) and report.top1 == 0
