"""The score table: what a model says of each clip. Tables meet by sample id, never by position."""

import json
import os
from dataclasses import dataclass
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
