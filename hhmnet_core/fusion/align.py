"""Combine score tables by sample id, whatever the order of their clips."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import FUSION, ScoreTable


def check_compatible(tables: Sequence[ScoreTable]) -> None:
    """Check that tables hold the same clips of one split of the same data.

    Raises:
        InputError: No tables, or tables of different digests, classes, splits, clips or labels.
    """
    _check_not_empty(tables)
    for table in tables:
        _aligned_rows(tables[0], table)


def stack_aligned(tables: Sequence[ScoreTable]) -> NDArray[np.float64]:
    """Return the logits (S, N, K) of S tables, all in the first table's order of clips.

    Raises:
        InputError: No tables, or tables of different digests, classes, splits, clips or labels.
    """
    _check_not_empty(tables)
    aligned = [table.logits[_aligned_rows(tables[0], table)] for table in tables]
    return np.stack(aligned).astype(np.float64)


def fuse(tables: Sequence[ScoreTable], weights: Sequence[float] | None = None) -> ScoreTable:
    """The weighted mean of the logits, clip by clip.

    Args:
        tables: Of one split of the same skeletons.
        weights: One a table, not negative; equal by default. Only their ratio counts.

    Returns:
        A table of modality "fusion", its clips in the first table's order.

    Raises:
        InputError: No tables, tables of different digests, classes, splits, clips or labels, or
            weights that do not fit.
    """
    _check_not_empty(tables)
    shares = _shares(weights, len(tables))
    first = tables[0]
    fused_nk = np.zeros(first.logits.shape, dtype=np.float64)
    for table, share in zip(tables, shares, strict=True):
        fused_nk += share * table.logits[_aligned_rows(first, table)]
    runs = list(dict.fromkeys(table.run for table in tables))
    return ScoreTable(
        sample_ids=first.sample_ids,
        labels=first.labels,
        logits=fused_nk.astype(np.float32),
        run=" + ".join(runs),
        modality=FUSION,
        split=first.split,
        digest=first.digest,
        class_names=first.class_names,
        copies=_copies(tables),
    )


def keep_shared_clips(tables: Sequence[ScoreTable]) -> list[ScoreTable]:
    """The tables with those clips alone that all of them have, in the first one's order."""
    everywhere = set.intersection(*(set(table.sample_ids) for table in tables))
    kept = [sample_id for sample_id in tables[0].sample_ids if sample_id in everywhere]
    selected = []
    for table in tables:
        row_of = {sample_id: row for row, sample_id in enumerate(table.sample_ids)}
        selected.append(_rows(table, [row_of[sample_id] for sample_id in kept]))
    return selected


def _rows(table: ScoreTable, rows: list[int]) -> ScoreTable:
    sample_ids = tuple(table.sample_ids[row] for row in rows)
    return replace(
        table,
        sample_ids=sample_ids,
        labels=table.labels[rows],
        logits=table.logits[rows],
        copies=table.copies & set(sample_ids),
    )


def concatenate(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Tables of different clips as one, such as those of one network's folds.

    Raises:
        InputError: Tables of different digests, classes or splits, or a clip in two of them.
    """
    first = tables[0]
    for table in tables:
        _check_kind(first, table)
    sample_ids = tuple(sample_id for table in tables for sample_id in table.sample_ids)
    if len(set(sample_ids)) < len(sample_ids):
        twice = next(name for name, count in Counter(sample_ids).items() if count > 1)
        raise InputError(f"Clip {twice} is in two of the tables of {first.modality}: give folds.")
    return replace(
        first,
        sample_ids=sample_ids,
        labels=np.concatenate([table.labels for table in tables]),
        logits=np.concatenate([table.logits for table in tables]),
        copies=_copies(tables),
    )


def _shares(weights: Sequence[float] | None, num_tables: int) -> NDArray[np.float64]:
    given = np.ones(num_tables) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (num_tables,):
        raise InputError(f"Got {given.size} weights for {num_tables} score tables: one each.")
    if not np.isfinite(given).all() or (given < 0).any() or given.sum() <= 0:
        raise InputError(
            f"Weights must be finite, not negative and not all zero, but got {given.tolist()}."
        )
    shares: NDArray[np.float64] = given / given.sum()
    return shares


def _check_not_empty(tables: Sequence[ScoreTable]) -> None:
    if not tables:
        raise InputError("There are no score tables to fuse: give at least one.")


def _aligned_rows(first: ScoreTable, table: ScoreTable) -> NDArray[np.int64]:
    """Return the rows of a table in the first table's order of clips; InputError if they differ."""
    _check_alike(first, table)
    row_of = {sample_id: row for row, sample_id in enumerate(table.sample_ids)}
    rows = np.array([row_of[sample_id] for sample_id in first.sample_ids], dtype=np.int64)
    _check_labels(first, table, rows)
    return rows


def _copies(tables: Sequence[ScoreTable]) -> frozenset[str]:
    return frozenset().union(*(table.copies for table in tables))


def _check_alike(first: ScoreTable, other: ScoreTable) -> None:
    _check_kind(first, other)
    if unshared := sorted(set(first.sample_ids) ^ set(other.sample_ids)):
        raise InputError(
            f"{first.title} and {_lowered(other.title)} differ in {len(unshared)} sample ids, "
            f"{unshared[0]} for one: fuse tables of the same clips."
        )


def _check_kind(first: ScoreTable, other: ScoreTable) -> None:
    for field, what in (("digest", "data digest"), ("split", "split"), ("class_names", "classes")):
        ours, theirs = getattr(first, field), getattr(other, field)
        if ours != theirs:
            raise InputError(
                f"{first.title} and {_lowered(other.title)} differ in {what} ({_short(ours)}; "
                f"{_short(theirs)}): fuse tables of one split of the same data."
            )


def _check_labels(first: ScoreTable, other: ScoreTable, rows: NDArray[np.int64]) -> None:
    differ = np.flatnonzero(first.labels != other.labels[rows])
    if len(differ):
        at = int(differ[0])
        raise InputError(
            f"{first.title} and {_lowered(other.title)} differ in the label of clip "
            f"{first.sample_ids[at]} ({first.labels[at]}; {other.labels[rows[at]]})."
        )


def _lowered(title: str) -> str:
    return title[0].lower() + title[1:]


def _short(value: object) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
