"""The score table: the logits of one model or fusion for the clips of one split, and its file.

Shapes: N clips, K classes.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from itertools import compress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hhmnet_core.checks.parquet_size import check_parquet
from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri

SCHEMA_VERSION = 2
VIDEO, FUSION = "video", "fusion"  # modalities of tables beside the skeletal ones
_SEAL = b"hhmnet.sha256:"  # precedes the checksum of a file
_METADATA_KEY = b"hhmnet.scores"
_SUBJECT = "subject"  # a column that earlier versions neither write nor read


@dataclass(frozen=True)
class ScoreTable:
    """Scores of N clips over K classes.

    Tables are joined by sample id, never by position.

    Attributes:
        sample_ids: N unique ids, as in the clip store.
        labels: (N,) the true classes, from 0.
        logits: (N, K) float32, finite.
        run: Name of the run that wrote the table.
        modality: Modality of the model: "joint", "bone", ..., "video" or "fusion".
        split: "val" or "test".
        digest: Digest of the clips' skeletons, see `ClipSet`.
        class_names: K names of the classes.
        copies: Sample ids of the clips that also are, under another sample id, among the clips
            that the model was trained on or selected by.
        subjects: (N,) numbers of the acting persons, by which choices on val estimate their noise.
            None: not recorded, as in tables of earlier versions.

    Raises:
        InputError: Shapes that do not fit, a repeated sample id, a label outside 0 to K - 1, a
            logit that is not finite, or a copy that is not in the table.
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
    subjects: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        num_clips, num_classes = len(self.sample_ids), len(self.class_names)
        shapes = (self.labels.shape, self.logits.shape)
        if shapes != ((num_clips,), (num_clips, num_classes)):
            raise InputError(
                f"{self.title} has labels and logits of shapes {shapes[0]} and {shapes[1]}; "
                f"expected ({num_clips},) and ({num_clips}, {num_classes})."
            )
        if self.subjects is not None and self.subjects.shape != (num_clips,):
            raise InputError(
                f"{self.title} has subjects of shape {self.subjects.shape}; expected "
                f"({num_clips},)."
            )
        if len(set(self.sample_ids)) != num_clips:
            raise InputError(f"{self.title} has a sample id twice: sample ids must be unique.")
        if num_clips and not 0 <= self.labels.min() <= self.labels.max() < num_classes:
            raise InputError(f"{self.title} has labels outside 0 to {num_classes - 1}.")
        if not np.isfinite(self.logits).all():
            raise InputError(f"{self.title} has a NaN or infinite logit.")
        if not self.copies <= set(self.sample_ids):
            raise InputError(f"{self.title} lists copies that are not among its clips.")

    def __len__(self) -> int:
        return len(self.sample_ids)

    @property
    def title(self) -> str:
        """Return a description for error messages, such as "The test score table of joint"."""
        return f"The {self.split} score table of {self.modality}" + (
            f" ({self.run})" if self.run else ""
        )


def write_scores(table: ScoreTable, uri: str | os.PathLike[str]) -> None:
    """Write a table as one parquet file whose schema holds the table's metadata.

    Raises InputError if the file cannot be written.
    """
    metadata = {
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
        metadata={_METADATA_KEY: json.dumps(metadata)},
    )
    if table.subjects is not None:
        schema = schema.append(pa.field(_SUBJECT, pa.int64(), nullable=False))
    logits = pa.array(np.ascontiguousarray(table.logits, dtype=np.float32).ravel(), pa.float32())
    columns = [
        pa.array(table.sample_ids, pa.string()),
        pa.array(table.labels, pa.int64()),
        pa.FixedSizeListArray.from_arrays(logits, num_classes),
        pa.array([sample_id in table.copies for sample_id in table.sample_ids], pa.bool_()),
    ]
    if table.subjects is not None:
        columns.append(pa.array(table.subjects, pa.int64()))
    sink = pa.BufferOutputStream()
    scores = pa.Table.from_arrays(columns, schema=schema)
    pq.write_table(scores, sink, compression="zstd")
    folder, name = split_uri(uri)
    folder.write(name, _with_checksum(bytes(sink.getvalue())))


def read_scores(uri: str | os.PathLike[str]) -> ScoreTable:
    """Read a table from a parquet file.

    Raises InputError if there is no file, or if it is damaged, of another schema version, or not a
    score table.
    """
    folder, name = split_uri(uri)
    try:
        content = folder.read(name, expansion=1)
    except FileNotFoundError as error:
        raise InputError(f"There is no score table at {uri}: check the address.") from error
    try:
        _check_checksum(content)
        return _parse(content, str(uri))
    except InputError:
        raise
    except (
        pa.ArrowException,
        OSError,
        KeyError,
        ValueError,
        OverflowError,
        TypeError,
        AttributeError,
    ) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{uri} is damaged or not a score table ({reason}): train its run again."
        ) from error


def _with_checksum(parquet: bytes) -> bytes:
    """Return a parquet file with its checksum before the footer, where no reader looks."""
    end = _end_of_data(parquet)
    return parquet[:end] + _SEAL + hashlib.sha256(parquet).digest() + parquet[end:]


def _check_checksum(content: bytes) -> None:
    """Raise ValueError where a file with a checksum is not as it was written.

    This comes before parquet's own reader, which ends the process on some damaged footers.
    """
    end = _end_of_data(content)
    start = end - len(_SEAL) - hashlib.sha256().digest_size
    if start > 0 and content.startswith(_SEAL, start):
        recorded = content[start + len(_SEAL) : end]
        if hashlib.sha256(content[:start] + content[end:]).digest() != recorded:
            raise ValueError("it does not match its checksum")


def _end_of_data(parquet: bytes) -> int:
    """Return the position of the footer, whose length precedes the last four bytes."""
    return len(parquet) - 8 - int.from_bytes(parquet[-8:-4], "little")


def _parse(content: bytes, uri: str) -> ScoreTable:
    metadata = parse_json((pq.read_schema(pa.BufferReader(content)).metadata or {})[_METADATA_KEY])
    _check_version(int(metadata["schema_version"]), uri)
    file = pq.ParquetFile(pa.BufferReader(content), read_dictionary=["sample_id"])
    check_parquet(file, f"The score table {uri}", indexed="sample_id")
    parsed = file.read()
    logits = parsed.column("logits").combine_chunks().flatten().to_numpy()
    ids = parsed.column("sample_id")
    if any(len(chunk.dictionary) < len(chunk) for chunk in ids.chunks):
        # Found before the ids become text: a long one could be repeated without bound.
        raise InputError(f"The score table {uri} has a sample id twice: sample ids must be unique.")
    sample_ids = tuple(ids.to_pylist())
    return ScoreTable(
        sample_ids=sample_ids,
        labels=parsed.column("label").to_numpy().astype(np.int64),
        logits=logits.reshape(len(parsed), len(metadata["class_names"])),
        run=str(metadata["run"]),
        modality=str(metadata["modality"]),
        split=str(metadata["split"]),
        digest=str(metadata["digest"]),
        class_names=tuple(metadata["class_names"]),
        copies=frozenset(compress(sample_ids, parsed.column("copy").to_pylist())),
        subjects=(
            parsed.column(_SUBJECT).to_numpy().astype(np.int64)
            if _SUBJECT in parsed.column_names
            else None
        ),
    )


def _check_version(version: int, uri: str) -> None:
    if version > SCHEMA_VERSION:
        raise InputError(
            f"The score table {uri} has schema version {version}, newer than the {SCHEMA_VERSION} "
            "that this version reads: update hhmnet."
        )
    if version < SCHEMA_VERSION:
        raise InputError(
            f"The score table {uri} has schema version {version}, which does not record the copies "
            "of training clips: train its run again."
        )
