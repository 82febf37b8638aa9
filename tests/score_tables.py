"""Small score tables of random logits."""

from dataclasses import replace
from typing import Any

import numpy as np

from hhmnet_core.fusion.scores import ScoreTable


def make_table(seed: int = 0, num_clips: int = 6, **changes: Any) -> ScoreTable:
    """Make a table of three classes; clip n has class n modulo 3."""
    table = ScoreTable(
        sample_ids=tuple(f"clip{number}" for number in range(num_clips)),
        labels=np.arange(num_clips, dtype=np.int64) % 3,
        logits=np.random.default_rng(seed).normal(size=(num_clips, 3)).astype(np.float32),
        run="made-phase1-0",
        modality="joint",
        split="test",
        digest="d" * 64,
        class_names=("a", "b", "c"),
    )
    return replace(table, **changes)


def reorder(table: ScoreTable, order: np.ndarray) -> ScoreTable:
    """Return the table with its clips in another order."""
    return replace(
        table,
        sample_ids=tuple(table.sample_ids[row] for row in order),
        labels=table.labels[order],
        logits=table.logits[order],
        subjects=None if table.subjects is None else table.subjects[order],
    )


def shuffle(table: ScoreTable, seed: int) -> ScoreTable:
    """Return the table with its clips in a random order."""
    return reorder(table, np.random.default_rng(seed).permutation(len(table)))
