"""Fusions with fixed and fitted weights."""

import numpy as np
import pytest

from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.metrics import is_correct, top1
from hhmnet_core.fusion.weight_fitting import fit_weights
from hhmnet_core.fusion.weight_scoring import WeightScorer
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.weightings import (
    baseline_fusions,
    calibrated_fusion,
    calibrated_weights,
    weighted_fusion,
)


def test_baselines_are_sums_of_logits(candidates: list[Candidate]) -> None:
    four = candidates[:4]
    fusions = baseline_fusions(four)
    assert list(fusions) == [
        "data-phase1-good/joint alone", "equal", "0.6 : 0.6 : 0.4 : 0.4", "2 : 2 : 1 : 1",
        "convex log-loss",
    ]  # fmt: skip
    field = fuse([c.test for c in four], [0.6, 0.6, 0.4, 0.4])
    assert fusions["0.6 : 0.6 : 0.4 : 0.4"].test_top1 == pytest.approx(top1(field))
    convex = fit_weights([c.val for c in four]).weights
    assert list(fusions["convex log-loss"].weights.values()) == pytest.approx(
        (convex / convex.sum()).tolist()
    )
    assert "2 : 2 : 1 : 1" not in baseline_fusions(candidates)


def test_calibrated_weights_are_those_of_calibrated_logits(candidates: list[Candidate]) -> None:
    four = candidates[:4]
    raw = np.array([0.6, 0.6, 0.4, 0.4])
    scorer = WeightScorer([each.val for each in four])
    calibrated = calibrated_weights(raw, scorer)
    assert calibrated.sum() == pytest.approx(1)
    same, expected = calibrated_fusion(four, calibrated), weighted_fusion(four, raw)
    assert same.weights == pytest.approx(expected.weights)
    assert (same.val_top1, same.test_top1) == (expected.val_top1, expected.test_top1)


def test_fusions_have_figures_without_copies(
    candidates: list[Candidate], copied: list[Candidate]
) -> None:
    expected = is_correct(fuse([each.test for each in candidates[:4]]))[50:].mean()
    assert baseline_fusions(copied[:4])["equal"].test_top1_without_copies == expected
    assert baseline_fusions(candidates[:4])["equal"].test_top1_without_copies is None
