"""Score tables joined by sample id: checked, stacked, fused, reduced to shared clips, concatenated.

Shapes: N clips, K classes, S tables.
"""

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
        InputError: No tables, or tables of different digests, splits, classes, clips or labels.
    """
    _check_not_empty(tables)
    for table in tables:
        _aligned_rows(tables[0], table)


def stack_aligned(tables: Sequence[ScoreTable]) -> NDArray[np.float64]:
    """Return the logits (S, N, K) of S tables, in the first table's order of clips.

    Raises:
        InputError: No tables, or tables of different digests, splits, classes, clips or labels.
    """
    _check_not_empty(tables)
    aligned = [table.logits[_aligned_rows(tables[0], table)] for table in tables]
    return np.stack(aligned).astype(np.float64)


def fuse(tables: Sequence[ScoreTable], weights: Sequence[float] | None = None) -> ScoreTable:
    """Return the weighted mean of the logits of tables with the same clips.

    Args:
        tables: S tables of one split of the same data, their clips in any order.
        weights: (S,) at least 0, of which only the ratios matter. Default: equal weights.

    Returns:
        A table of modality "fusion", its clips in the first table's order.

    Raises:
        InputError: No tables, tables of different digests, splits, classes, clips or labels, or
            weights that are not S finite numbers of at least 0 with a positive sum.
    """
    _check_not_empty(tables)
    shares_s = _normalise(weights, len(tables))
    first = tables[0]
    fused_nk = np.zeros(first.logits.shape, dtype=np.float64)
    for table, share in zip(tables, shares_s, strict=True):
        fused_nk += share * table.logits[_aligned_rows(first, table)]
    runs = list(dict.fromkeys(table.run for table in tables))
    return replace(
        first,
        logits=fused_nk.astype(np.float32),
        run=" + ".join(runs),
        modality=FUSION,
        copies=_all_copies(tables),
    )


def keep_shared_clips(tables: Sequence[ScoreTable]) -> list[ScoreTable]:
    """Return the tables reduced to the clips that all of them have, in the first one's order."""
    shared = set.intersection(*(set(table.sample_ids) for table in tables))
    kept = [sample_id for sample_id in tables[0].sample_ids if sample_id in shared]
    return [_take(table, kept) for table in tables]


def concatenate(tables: Sequence[ScoreTable]) -> ScoreTable:
    """Join tables of different clips into one, such as those of a network's validation folds.

    Raises:
        InputError: Tables of different digests, splits or classes, or a clip in two of them.
    """
    first = tables[0]
    for table in tables:
        _check_same_data(first, table)
    sample_ids = tuple(sample_id for table in tables for sample_id in table.sample_ids)
    if len(set(sample_ids)) < len(sample_ids):
        twice = next(name for name, count in Counter(sample_ids).items() if count > 1)
        raise InputError(
            f"Clip {twice} is in two of the tables of {first.modality}: give tables without "
            "common clips, one per fold."
        )
    subjects = [table.subjects for table in tables if table.subjects is not None]
    return replace(
        first,
        sample_ids=sample_ids,
        labels=np.concatenate([table.labels for table in tables]),
        logits=np.concatenate([table.logits for table in tables]),
        copies=_all_copies(tables),
        subjects=np.concatenate(subjects) if len(subjects) == len(tables) else None,
    )


def _row_of_sample(table: ScoreTable) -> dict[str, int]:
    return {sample_id: row for row, sample_id in enumerate(table.sample_ids)}


def _aligned_rows(first: ScoreTable, table: ScoreTable) -> NDArray[np.int64]:
    """Return a table's rows in the first table's order of clips; InputError if they differ."""
    _check_same_data(first, table)
    _check_same_clips(first, table)
    row_of = _row_of_sample(table)
    rows = np.array([row_of[sample_id] for sample_id in first.sample_ids], dtype=np.int64)
    _check_same_labels(first, table, rows)
    return rows


def _take(table: ScoreTable, sample_ids: Sequence[str]) -> ScoreTable:
    row_of = _row_of_sample(table)
    rows = [row_of[sample_id] for sample_id in sample_ids]
    return replace(
        table,
        sample_ids=tuple(sample_ids),
        labels=table.labels[rows],
        logits=table.logits[rows],
        copies=table.copies & set(sample_ids),
        subjects=None if table.subjects is None else table.subjects[rows],
    )


def _normalise(weights: Sequence[float] | None, num_tables: int) -> NDArray[np.float64]:
    """Return the weights (S,) divided by their sum; InputError if they do not fit."""
    weights_s = np.ones(num_tables) if weights is None else np.asarray(weights, dtype=np.float64)
    if weights_s.shape != (num_tables,):
        raise InputError(
            f"Got {weights_s.size} weights for {num_tables} score tables: give one per table."
        )
    if not np.isfinite(weights_s).all() or (weights_s < 0).any() or weights_s.sum() <= 0:
        raise InputError(
            f"Weights must be finite, not negative and not all zero, but got {weights_s.tolist()}."
        )
    shares_s: NDArray[np.float64] = weights_s / weights_s.sum()
    return shares_s


def _all_copies(tables: Sequence[ScoreTable]) -> frozenset[str]:
    return frozenset().union(*(table.copies for table in tables))


def _check_not_empty(tables: Sequence[ScoreTable]) -> None:
    if not tables:
        raise InputError("There are no score tables to fuse: give at least one.")


def _check_same_data(first: ScoreTable, other: ScoreTable) -> None:
    for field, name in (("digest", "data digest"), ("split", "split"), ("class_names", "classes")):
        of_first, of_other = getattr(first, field), getattr(other, field)
        if of_first != of_other:
            raise InputError(
                f"{_name_both(first, other)} differ in {name} ({_shorten(of_first)}; "
                f"{_shorten(of_other)}): fuse tables of one split of the same data."
            )


def _check_same_clips(first: ScoreTable, other: ScoreTable) -> None:
    if unshared := sorted(set(first.sample_ids) ^ set(other.sample_ids)):
        raise InputError(
            f"{_name_both(first, other)} differ in {len(unshared)} sample ids, such as "
            f"{unshared[0]}: fuse tables of the same clips."
        )


def _check_same_labels(first: ScoreTable, other: ScoreTable, rows: NDArray[np.int64]) -> None:
    different = np.flatnonzero(first.labels != other.labels[rows])
    if len(different):
        row = int(different[0])
        raise InputError(
            f"{_name_both(first, other)} differ in the label of clip {first.sample_ids[row]} "
            f"({first.labels[row]}; {other.labels[rows[row]]}): fuse tables of one store."
        )


def _name_both(first: ScoreTable, other: ScoreTable) -> str:
    return f"{first.title} and {other.title[0].lower()}{other.title[1:]}"


def _shorten(value: object) -> str:
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
