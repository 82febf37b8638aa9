"""Ways to fuse networks, and what each is worth: a search's, and those that need none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from hhmnet_core.fusion.compare import interval
from hhmnet_core.fusion.scores import fuse, right, top1, top1_without_copies
from hhmnet_core.fusion.weighting import Weighting
from hhmnet_core.fusion.weights import fit_weights
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.labels import WITHOUT_COPIES_HEADING, WITHOUT_COPIES_KEY, copies_note, percent

Weights = NDArray[np.float64]

# What the field's scripts carry for joint, bone, joint motion and bone motion.
FIELD = {"0.6 : 0.6 : 0.4 : 0.4": (0.6, 0.6, 0.4, 0.4), "2 : 2 : 1 : 1": (2.0, 2.0, 1.0, 1.0)}
SEARCHED, EQUAL, CONVEX = "searched", "equal", "convex log-loss"


@dataclass(frozen=True)
class Fusion:
    """A way to fuse.

    Attributes:
        weights: Of the raw logits, by candidate; their ratios count.
        val_top1: On what it was chosen by.
        test_top1: On test.
        interval: Of that, 95 %, over clips.
        test_top1_without_copies: On the test clips that no network was trained on or chosen by;
            None where that is all of them, or none.
    """

    weights: dict[str, float]
    val_top1: float
    test_top1: float
    interval: tuple[float, float]
    test_top1_without_copies: float | None


def judged(candidates: Sequence[Candidate], calibrated: Weights) -> Fusion:
    """Weights of calibrated logits, on val and test."""
    temperatures = np.array(Weighting([each.val for each in candidates]).temperatures)
    return _fusion(candidates, calibrated / temperatures)


def baselines(candidates: Sequence[Candidate]) -> dict[str, Fusion]:
    """The best network alone, and the fusions that need no search."""
    best = max(candidates, key=lambda each: top1(each.val))
    alone = _fusion(candidates, np.array([float(each is best) for each in candidates]))
    found = {f"{best.name} alone": alone, EQUAL: _fusion(candidates, np.ones(len(candidates)))}
    if [each.member for each in candidates] == list(MODALITIES):
        found |= {name: _fusion(candidates, np.array(w)) for name, w in FIELD.items()}
    return {**found, CONVEX: _fusion(candidates, fit_weights([c.val for c in candidates]).weights)}


def _fusion(candidates: Sequence[Candidate], weights: Weights) -> Fusion:
    val, test = (
        fuse([getattr(each, part) for each in candidates], weights.tolist())
        for part in ("val", "test")
    )
    shares = (weights / weights.sum()).tolist()
    names = [each.name for each in candidates]
    return Fusion(
        dict(zip(names, shares, strict=True)),
        top1(val),
        top1(test),
        interval(right(test)),
        top1_without_copies(test),
    )


def calibrated_weights(weights: Weights, weighting: Weighting) -> Weights:
    """Weights of raw logits as those of calibrated ones, of sum 1."""
    scaled = weights * np.array(weighting.temperatures)
    shares: Weights = scaled / scaled.sum()
    return shares


def fusion_table(said: Mapping[str, Any]) -> Table:
    """For the terminal, of what fusion.json says."""
    clips, fusions = said["clips"], said["fusions"]
    chosen = "val" if not said["search"]["folds"] else "val, out of fold,"
    table = Table(title=f"fusions, {clips['val']} clips of {chosen} and {clips['test']} of test")
    table.add_column("weights", overflow="fold")  # names are not cut off in a narrow terminal
    copies = said["copies"]
    table.caption = copies_note(copies)
    for name in ("val top-1", "test top-1", "95 %", *([WITHOUT_COPIES_HEADING] if copies else [])):
        table.add_column(name, justify="right")
    for name, fusion in fusions.items():
        low, high = fusion["interval"]
        shares = (fusion["val_top1"], fusion["test_top1"])
        cells = [*(f"{share:.1%}" for share in shares), f"{low:.1%} to {high:.1%}"]
        if copies:
            cells.append(percent(fusion[WITHOUT_COPIES_KEY]))
        table.add_row(name, *cells, style="bold" if name == SEARCHED else None)
    return table
