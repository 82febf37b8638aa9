"""Score tables of logits, their metrics by hand, and the choice of the best epoch."""

import math

import numpy as np
import pytest
import torch

from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.evaluation import score_table, table_metrics, update_best


def test_a_table_holds_its_clips_and_marks_copies_among_them(tiny_clips: ClipSet) -> None:
    indices, logits_nk = np.array([4, 40, 41]), torch.arange(9.0).view(3, 3)
    table = score_table(tiny_clips, indices, logits_nk, "bone", "test", np.array([2, 40]))
    assert table.sample_ids == ("clip004", "clip040", "clip041")
    np.testing.assert_array_equal(table.labels, tiny_clips.labels[[4, 40, 41]])
    np.testing.assert_array_equal(table.logits, logits_nk)
    assert (table.modality, table.split, table.run) == ("bone", "test", "")
    assert table.digest == tiny_clips.skeletons
    assert table.class_names == ("raise", "lower", "sway")
    assert table.copies == {"clip040"}


def test_metrics_of_a_table_are_named_by_its_split(tiny_clips: ClipSet) -> None:
    # Labels of clips 0 and 1 are 0 and 1.
    logits_nk = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    table = score_table(tiny_clips, np.array([0, 1]), logits_nk, "joint", "val", np.array([], int))
    first = math.log(math.exp(2) + 2) - 2
    second = math.log(math.exp(1) + 2)
    assert table_metrics(table) == pytest.approx(
        {"val/top1": 0.5, "val/mean_class_accuracy": 0.5, "val/loss": (first + second) / 2},
        rel=1e-6,
    )


def best_after(epochs: list[tuple[float, float]], selection: str) -> list[dict[str, float]]:
    """The metrics of each epoch, given its val top-1 and loss."""
    history: list[dict[str, float]] = []
    for number, (accuracy, loss) in enumerate(epochs, start=1):
        metrics = {"val/top1": accuracy, "val/loss": loss, "train/loss": 1.0}
        is_best = update_best(metrics, history[-1] if history else {}, number, selection)
        assert is_best == (metrics["best/epoch"] == number)
        history.append(metrics)
    return history


def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss() -> None:
    epochs = [(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8), (0.6, 0.1)]
    last = best_after(epochs, "val")[-1]
    assert [metrics["best/epoch"] for metrics in best_after(epochs, "val")] == [1, 2, 3, 3, 3]
    assert (last["best/val_top1"], last["best/val_loss"]) == (0.7, 0.8)
    assert (last["val/top1"], last["train/loss"]) == (0.6, 1.0)


def test_a_fold_selects_no_epoch() -> None:
    epochs = [(0.9, 0.1), (0.5, 1.0)]
    last = best_after(epochs, "fold-2-of-5")[-1]
    assert (last["best/epoch"], last["best/val_top1"], last["best/val_loss"]) == (2, 0.5, 1.0)


def test_an_epoch_without_a_previous_best_is_the_best() -> None:
    metrics = {"val/top1": 0.1, "val/loss": 2.0}
    assert update_best(metrics, {"train/loss": 1.0}, 4, "val")
    assert metrics["best/epoch"] == 4
