"""The score table: what a model says of each clip. Tables meet by sample id, never by position."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri

SCHEMA_VERSION = 2
VIDEO, FUSION = "video", "fusion"  # modalities of tables beside the skeletal ones
_METADATA = b"hhmnet.scores"


@dataclass(frozen=True)
class ScoreTable:
    """Scores of N clips over K classes.

    Attributes:
        sample_ids: N unique ids, as in the clip store.
        labels: (N,) the true classes, from 0.
        logits: (N, K) float32.
        run: The run that made it.
        modality: Of the model: "joint", ..., or "fusion".
        split: "val" or "test".
        digest: Of the clips' skeletons, see `ClipSet`.
        class_names: K names.
        copies: Which of the clips were trained on, or chosen by, under another sample id.
    """

    sample_ids: tuple[str, ...]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    run: str
    modality: str
    split: str
    digest: str
    class_names: tuple[str, ...]
    copies: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        num_clips, num_classes = len(self.sample_ids), len(self.class_names)
        shapes = (self.labels.shape, self.logits.shape)
        if shapes != ((num_clips,), (num_clips, num_classes)):
            raise InputError(
                f"{self.title} has labels and logits of shapes {shapes[0]} and {shapes[1]}; "
                f"expected ({num_clips},) and ({num_clips}, {num_classes})."
            )
        if len(set(self.sample_ids)) != num_clips:
            raise InputError(f"{self.title} has a sample id twice.")
        if num_clips and not 0 <= self.labels.min() <= self.labels.max() < num_classes:
            raise InputError(f"{self.title} has labels outside 0 to {num_classes - 1}.")
        if not np.isfinite(self.logits).all():
            raise InputError(f"{self.title} has a NaN or infinite logit.")
        if not self.copies <= set(self.sample_ids):
            raise InputError(f"{self.title} counts clips as copies that it does not have.")

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def title(self) -> str:
        """What it is, for messages."""
        return f"The {self.split} score table of {self.modality}" + (
            f" ({self.run})" if self.run else ""
        )


def write_scores(table: ScoreTable, uri: str | os.PathLike[str]) -> None:
    """Writes a table as one parquet file; its metadata lies in the file's schema.

    Raises:
        InputError: A place that cannot be written.
    """
    facts = {
        "schema_version": SCHEMA_VERSION,
        "run": table.run,
        "modality": table.modality,
        "split": table.split,
        "digest": table.digest,
        "class_names": list(table.class_names),
    }
    num_classes = len(table.class_names)
    schema = pa.schema(
        [
            pa.field("sample_id", pa.string(), nullable=False),
            pa.field("label", pa.int64(), nullable=False),
            pa.field("logits", pa.list_(pa.float32(), num_classes), nullable=False),
            pa.field("copy", pa.bool_(), nullable=False),
        ],
        metadata={_METADATA: json.dumps(facts)},
    )
    logits = pa.array(np.ascontiguousarray(table.logits, dtype=np.float32).ravel(), pa.float32())
    columns = [
        pa.array(table.sample_ids, pa.string()),
        pa.array(table.labels, pa.int64()),
        pa.FixedSizeListArray.from_arrays(logits, num_classes),
        pa.array([sample_id in table.copies for sample_id in table.sample_ids], pa.bool_()),
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), sink, compression="zstd")
    place, name = split_uri(uri)
    place.write(name, bytes(sink.getvalue()))


def read_scores(uri: str | os.PathLike[str]) -> ScoreTable:
    """Reads a table. Raises InputError: none there, damaged, or something else."""
    place, name = split_uri(uri)
    try:
        content = place.read(name)
    except FileNotFoundError as error:
        raise InputError(f"There is no score table at {uri}: check the address.") from error
    try:
        read = pq.read_table(pa.BufferReader(content))
        facts = json.loads((read.schema.metadata or {})[_METADATA])
        version = int(facts["schema_version"])
        if version > SCHEMA_VERSION:
            raise InputError(
                f"The score table {uri} has schema version {version}, newer than the "
                f"{SCHEMA_VERSION} that this version reads: update hhmnet."
            )
        if version < SCHEMA_VERSION:
            raise InputError(
                f"The score table {uri} does not say which clips are copies of training clips: it "
                "is of a version before. Train its run again."
            )
        logits = read.column("logits").combine_chunks().flatten().to_numpy()
        sample_ids = tuple(read.column("sample_id").to_pylist())
        return ScoreTable(
            sample_ids=sample_ids,
            labels=read.column("label").to_numpy().astype(np.int64),
            logits=logits.reshape(len(read), len(facts["class_names"])),
            run=str(facts["run"]),
            modality=str(facts["modality"]),
            split=str(facts["split"]),
            digest=str(facts["digest"]),
            class_names=tuple(facts["class_names"]),
            copies=frozenset(compress(sample_ids, read.column("copy").to_pylist())),
        )
    except InputError:
        raise
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        reason = "it is not one of ours" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{uri} is not a whole score table ({reason}): let the run write it again."
        ) from error


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


def shared(tables: Sequence[ScoreTable]) -> list[ScoreTable]:
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


def stacked(tables: Sequence[ScoreTable]) -> ScoreTable:
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


def top1(table: ScoreTable) -> float:
    """The share of clips whose highest logit is the true class; NaN for an empty table."""
    if not len(table):
        return float("nan")
    return float(right(table).mean())


def right(table: ScoreTable) -> NDArray[np.bool_]:
    """(N,) of which clips the highest logit is the true class."""
    found: NDArray[np.bool_] = table.logits.argmax(1) == table.labels
    return found


def top1_without_copies(table: ScoreTable) -> float | None:
    """Top-1 of the clips that are no copies; None where there are no copies, or nothing else."""
    return share_without_copies(table, right(table))


def share_without_copies(table: ScoreTable, right_n: NDArray[np.bool_]) -> float | None:
    """The same of any decisions on the table's clips, given which (N,) are right."""
    novel_n = np.array([sample_id not in table.copies for sample_id in table.sample_ids], bool)
    return float(right_n[novel_n].mean()) if 0 < novel_n.sum() < len(novel_n) else None


def confusion(table: ScoreTable) -> NDArray[np.int64]:
    """(K, K) clips by true class (row) and predicted class (column)."""
    num_classes = len(table.class_names)
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (table.labels, table.logits.argmax(1)), 1)
    return counts


def per_class_accuracy(table: ScoreTable) -> NDArray[np.float64]:
    """(K,) the share of each class's clips that are found; NaN for a class without clips."""
    counts = confusion(table)
    totals = counts.sum(1)
    accuracies = np.full(len(totals), np.nan)
    np.divide(counts.diagonal(), totals, out=accuracies, where=totals > 0)
    return accuracies


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
