"""Ways to weigh networks, and the accuracy of each: fixed, fitted and searched weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.compare import bootstrap_interval
from hhmnet_core.fusion.metrics import is_correct, top1, top1_without_copies
from hhmnet_core.fusion.weight_fitting import fit_weights
from hhmnet_core.fusion.weight_scoring import WeightScorer
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.candidates import Candidate

Weights = NDArray[np.float64]

# Weights in the field's scripts for joint, bone, joint motion and bone motion: CTR-GCN's and
# pyskl's.
FIELD = {"0.6 : 0.6 : 0.4 : 0.4": (0.6, 0.6, 0.4, 0.4), "2 : 2 : 1 : 1": (2.0, 2.0, 1.0, 1.0)}
SEARCHED, EQUAL, CONVEX = "searched", "equal", "convex log-loss"
BEST_ON_VAL = "highest top-1 on val"


@dataclass(frozen=True)
class WeightedFusion:
    """A fusion with given weights.

    Attributes:
        weights: Weight of each candidate's raw logits. Their sum is 1.
        val_top1: Top-1 on validation, a share of 1.
        test_top1: Top-1 on test.
        interval: 95 % interval of the top-1 on test, by bootstrap over clips.
        test_top1_without_copies: Top-1 on the test clips that no network was trained on or
            selected by. None where that is all of them, or none.
    """

    weights: dict[str, float]
    val_top1: float
    test_top1: float
    interval: tuple[float, float]
    test_top1_without_copies: float | None


def weighted_fusion(candidates: Sequence[Candidate], weights: Weights) -> WeightedFusion:
    """Fuse candidates with (S,) weights of their raw logits."""
    val = fuse([each.val for each in candidates], weights.tolist())
    test = fuse([each.test for each in candidates], weights.tolist())
    shares = (weights / weights.sum()).tolist()
    return WeightedFusion(
        dict(zip([each.name for each in candidates], shares, strict=True)),
        top1(val),
        top1(test),
        bootstrap_interval(is_correct(test)),
        top1_without_copies(test),
    )


def calibrated_fusion(candidates: Sequence[Candidate], calibrated: Weights) -> WeightedFusion:
    """Fuse candidates with (S,) weights of their calibrated logits."""
    temperatures = np.array(WeightScorer([each.val for each in candidates]).temperatures)
    return weighted_fusion(candidates, calibrated / temperatures)


def baseline_fusions(candidates: Sequence[Candidate]) -> dict[str, WeightedFusion]:
    """Return the best single network, and the fusions that need no search, by name."""
    best = max(candidates, key=lambda each: top1(each.val))
    only_best = np.array([float(each is best) for each in candidates])
    fusions = {
        f"{best.name} alone": weighted_fusion(candidates, only_best),
        EQUAL: weighted_fusion(candidates, np.ones(len(candidates))),
    }
    if [each.member for each in candidates] == list(MODALITIES):
        fusions |= {name: weighted_fusion(candidates, np.array(w)) for name, w in FIELD.items()}
    convex = fit_weights([each.val for each in candidates]).weights
    return {**fusions, CONVEX: weighted_fusion(candidates, convex)}


def calibrated_weights(weights: Weights, weighting: WeightScorer) -> Weights:
    """Convert (S,) weights of raw logits to weights of calibrated ones, of sum 1."""
    scaled = weights * np.array(weighting.temperatures)
    shares: Weights = scaled / scaled.sum()
    return shares
