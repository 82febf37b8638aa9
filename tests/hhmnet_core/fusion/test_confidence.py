"""The threshold of unsure predictions."""

import numpy as np
import pytest

from hhmnet_core.fusion.confidence import unsure_threshold


def two_classes(confidence: list[float]) -> np.ndarray:
    return np.array([[value, 1 - value] for value in confidence])


@pytest.mark.parametrize(
    ("accepted", "expected"), [(1.0, 0.6), (0.75, 0.7), (0.7, 0.7), (0.5, 0.8), (0.25, 0.9)]
)
def test_the_share_of_the_correct_predictions_reaches_it(accepted: float, expected: float) -> None:
    probabilities = two_classes([0.9, 0.6, 0.8, 0.7, 0.95])
    labels = np.array([0, 0, 0, 0, 1])  # the last prediction is wrong
    assert unsure_threshold(probabilities, labels, accepted) == pytest.approx(expected)
    reached = (probabilities.max(1)[:4] >= unsure_threshold(probabilities, labels, accepted)).mean()
    assert reached >= accepted


def test_without_a_correct_prediction_all_are_unsure() -> None:
    assert unsure_threshold(two_classes([0.9]), np.array([1])) == 1.0
