"""Data sets of runs: each split of a store as MLflow's data set, with source, columns and size."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from hhmnet_core.store.shards import SCHEMA, VIDEO

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

_DIGEST_LENGTH = 12  # MLflow allows 36 at most; the run's tags have the whole digest of the data
_CONTEXT = "mlflow.data.context"


@dataclass(frozen=True)
class TrackedSplit:
    """The clips of a split as MLflow holds them.

    Attributes:
        name: "train", "val" or "test".
        digest: Digest of the data and of the clips' ids, sha256 in hex.
        num_clips: Number of clips.
    """

    name: str
    digest: str
    num_clips: int

    @classmethod
    def of(cls, name: str, data_digest: str, sample_ids: Iterable[str]) -> "TrackedSplit":
        """Return a split of some clips of the data with a digest."""
        ids = [str(each) for each in sample_ids]
        content = json.dumps([data_digest, *ids]).encode()
        return cls(name, hashlib.sha256(content).hexdigest(), len(ids))


def dataset_input(dataset: str, store: str, has_video: bool, split: TrackedSplit) -> "DatasetInput":
    """Return a split as the input of an MLflow run, with the split's name as its context.

    Args:
        dataset: Name of the data set.
        store: Path or URI of its store.
        has_video: Whether the store has the columns of videos.
        split: The split.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.types.schema import ColSpec, Schema

    fields = [*SCHEMA, *(VIDEO if has_video else ())]
    schema = Schema([ColSpec(_mlflow_type(each.type), each.name) for each in fields])
    source_type, source = _source(store)
    described = Dataset(
        name=dataset,
        digest=split.digest[:_DIGEST_LENGTH],
        source_type=source_type,
        source=json.dumps(source),
        schema=json.dumps({"mlflow_colspec": schema.to_dict()}),
        profile=json.dumps({"num_rows": split.num_clips}),
    )
    return DatasetInput(described, [InputTag(_CONTEXT, split.name)])


def _source(store: str) -> tuple[str, dict[str, str]]:
    """Return the type and the fields of a store's source, by MLflow's names."""
    scheme = urlsplit(store).scheme if "://" in store else ""
    if scheme in ("http", "https"):
        return "http", {"url": store}
    return (scheme if scheme not in ("", "file") else "local"), {"uri": store}


def _mlflow_type(arrow: pa.DataType) -> Any:
    from mlflow.types.schema import Array, DataType

    if pa.types.is_large_list(arrow):
        return Array(_mlflow_type(arrow.value_type))
    return {
        pa.string(): DataType.string,
        pa.int64(): DataType.long,
        pa.float32(): DataType.float,
        pa.large_binary(): DataType.binary,
    }[arrow]
