"""Predictions in a folder of parquet files, to which processes add side by side."""

import hashlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_platform.serving.predictions import Prediction, format_predictions

_PREFIX, _SUFFIX = "part-", ".parquet"


def write_part(predictions: Sequence[Prediction], class_names: Sequence[str], out: str) -> None:
    """Write predictions as one file, whose name follows from their recordings.

    It is there as a whole or not at all, and written again it takes its own place.
    """
    names = "\0".join(dict.fromkeys(each.input for each in predictions))
    name = f"{_PREFIX}{hashlib.sha256(names.encode()).hexdigest()[:16]}{_SUFFIX}"
    folder(out).write(name, format_predictions(predictions, class_names, name))


def finished_inputs(out: str) -> dict[str, str]:
    """Return the recordings in a folder of predictions, and why one has none ("": it has one).

    Raises:
        InputError: Files that hold no predictions.
    """
    place = folder(out)
    found: dict[str, str] = {}
    for name in place.names():
        if not (name.startswith(_PREFIX) and name.endswith(_SUFFIX)):
            raise InputError(
                f"{out} holds {name} beside predictions: give --out a folder of its own."
            )
        try:
            table = pq.read_table(
                pa.BufferReader(place.read(name, expansion=4)), columns=["input", "reason"]
            )
        except (pa.ArrowException, OSError, KeyError) as error:
            raise InputError(
                f"{name} in {out} holds no predictions ({str(error)[:200]}): remove it, and give "
                "the command again."
            ) from error
        found |= dict(zip(*(table[key].to_pylist() for key in ("input", "reason")), strict=True))
    return found
