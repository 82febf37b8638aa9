"""Score tables and metrics from logits, and the choice of the best epoch."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hhmnet_core.fusion.metrics import mean_class_accuracy, top1, top5
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.protocols import fold_of


def score_table(
    clips: ClipSet,
    indices: Int64Array,
    logits_nk: Tensor,
    member: str,
    split: str,
    copies: Int64Array,
) -> ScoreTable:
    """Return the score table of one member on some clips.

    Args:
        clips: All clips.
        indices: (N,) indices of the scored clips.
        logits_nk: (N, K) their logits, on the host.
        member: Member that scored them.
        split: "val" or "test".
        copies: Indices of clips that are copies of training clips; the table marks those that it
            holds.
    """
    return ScoreTable(
        sample_ids=tuple(str(clips.sample_ids[i]) for i in indices),
        labels=clips.labels[indices],
        logits=logits_nk.numpy(),
        run="",
        modality=member,
        split=split,
        digest=clips.skeletons,
        class_names=clips.manifest.class_names,
        copies=frozenset(str(clips.sample_ids[i]) for i in np.intersect1d(indices, copies)),
        subjects=clips.subjects[indices],
    )


def table_metrics(table: ScoreTable) -> dict[str, float]:
    """Return the accuracies and the mean cross-entropy of a table, named by its split.

    They are top-1, top-5 (from 6 classes on), and the mean accuracy of the classes.
    """
    logits, labels = torch.from_numpy(table.logits), torch.from_numpy(table.labels)
    of_five = top5(table)
    return {
        f"{table.split}/top1": top1(table),
        f"{table.split}/mean_class_accuracy": mean_class_accuracy(table),
        f"{table.split}/loss": float(F.cross_entropy(logits, labels)),
    } | ({} if of_five is None else {f"{table.split}/top5": of_five})


def update_best(
    metrics: dict[str, float], previous: Mapping[str, float], epoch: int, selection: str
) -> bool:
    """Add the best epoch so far to an epoch's metrics, and return whether it is this epoch.

    The best epoch has the highest val top-1, and among equals the lowest val loss. A fold that is
    held out is scored but selects nothing: there the last epoch is the best.

    Args:
        metrics: Metrics of this epoch and member, those of val included.
        previous: Metrics of the previous epoch and this member. Empty for the first epoch.
        epoch: Number of the epoch, from 1.
        selection: `data.selection`, by which val was held out.
    """
    candidate = (metrics["val/top1"], -metrics["val/loss"])
    best = {name: value for name, value in previous.items() if name.startswith("best/")}
    selects = fold_of(selection) is None
    if best and selects and candidate <= (best["best/val_top1"], -best["best/val_loss"]):
        metrics |= best
        return False
    metrics |= {
        "best/val_top1": candidate[0],
        "best/val_loss": -candidate[1],
        "best/epoch": epoch,
    }
    return True
