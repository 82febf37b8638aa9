"""What is made of logits: score tables, metrics, and the choice of the best epoch."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.protocols import fold_of


def score_table(
    clips: ClipSet,
    indices: Int64Array,
    logits_nk: Tensor,
    modality: str,
    part: str,
    copies: Int64Array,
) -> ScoreTable:
    """The table of these clips' logits (n, K); those that are among `copies` are marked so."""
    manifest = clips.manifest
    return ScoreTable(
        sample_ids=tuple(str(clips.sample_ids[i]) for i in indices),
        labels=clips.labels[indices],
        logits=logits_nk.numpy(),
        run="",
        modality=modality,
        split=part,
        digest=clips.skeletons,
        class_names=manifest.class_names,
        copies=frozenset(str(clips.sample_ids[i]) for i in np.intersect1d(indices, copies)),
    )


def table_metrics(table: ScoreTable) -> dict[str, float]:
    """Top-1 and loss of a table, named by its split."""
    logits, labels = torch.from_numpy(table.logits), torch.from_numpy(table.labels)
    return {
        f"{table.split}/top1": top1(table),
        f"{table.split}/loss": float(F.cross_entropy(logits, labels)),
    }


def choose(
    metrics: dict[str, float], before: Mapping[str, float], epoch: int, selection: str
) -> bool:
    """Whether this epoch is the best so far; notes the best in its metrics either way.

    Best is the highest val top-1; among equals the lowest val loss. What is held out as a fold is
    scored and chooses nothing: there the last epoch is the best.

    Args:
        metrics: Of this epoch and modality, with those of val.
        before: Of the epoch before; empty for none.
        epoch: Its number.
        selection: What val was carved by.
    """
    candidate = (metrics["val/top1"], -metrics["val/loss"])
    chooses = fold_of(selection) is None
    if before and chooses and candidate <= (before["best/val_top1"], -before["best/val_loss"]):
        metrics |= {key: value for key, value in before.items() if key.startswith("best/")}
        return False
    metrics |= {
        "best/val_top1": candidate[0],
        "best/val_loss": -candidate[1],
        "best/epoch": epoch,
    }
    return True
