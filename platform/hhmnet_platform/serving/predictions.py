"""Predictions as records, and the files that hold them: parquet, CSV or JSON."""

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri

ENDINGS = (".parquet", ".csv", ".json")
_UNSURE = "unsure"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
NOBODY = "nobody"  # in place of an action


@dataclass(frozen=True)
class Prediction:
    """The prediction for a recording or a part of it, or the reason why there is none.

    Attributes:
        input: Name of the recording.
        start: Begin of the part in seconds, in frames where the frame rate is unknown. None: all.
        stop: Its end.
        predicted: The likeliest class. "" for none.
        confidence: Its probability.
        unsure: Whether the confidence is below the threshold.
        probabilities: (K,) probability of each class; of a part, their mean.
        milliseconds: Time that the networks took.
        reason: Reason why there is no prediction. "" where there is one.
        is_empty: Whether nobody is in view in the part.
    """

    input: str
    start: float | None = None
    stop: float | None = None
    predicted: str = ""
    confidence: float = 0.0
    unsure: bool = False
    probabilities: NDArray[np.float64] | None = None
    milliseconds: float = 0.0
    reason: str = ""
    is_empty: bool = False

    @property
    def action(self) -> str:
        """The class as it is shown: "unsure" below the threshold, "nobody" without people."""
        if self.is_empty:
            return NOBODY
        return _UNSURE if self.unsure else self.predicted


def check_out(out: str, overwrite: bool) -> None:
    """Raise InputError for a file of a kind that is not written, or that is there already."""
    if out and not out.lower().endswith(ENDINGS):
        raise InputError(f"--out {out} is no {', '.join(ENDINGS)}: give a file of one of these.")
    check_new(out, "--out", overwrite)


def check_new(place: str, option: str, overwrite: bool) -> None:
    """Raise InputError for a file that would be replaced, or cannot be written.

    Args:
        place: Path or URI of the file. "": none.
        option: Option that gives it, for the message.
        overwrite: Whether a file that is there may be replaced.
    """
    if not place:
        return
    where, name = split_uri(place)
    if name in where.names() and not overwrite:
        raise InputError(
            f"{option} {place} exists: give another name, or --overwrite true to replace it."
        )
    probe = f".probe-{os.getpid()}"  # before hours of work, not after them
    where.write(probe, b"")
    where.remove(probe)


def format_predictions(
    predictions: Sequence[Prediction], class_names: Sequence[str], name: str
) -> bytes:
    """Return the content of a file of predictions, of the kind that its ending says."""
    if name.lower().endswith(".parquet"):
        return _parquet(predictions, class_names)
    if name.lower().endswith(".csv"):
        return _csv(predictions, class_names)
    records = [
        _plain(each) | {"probabilities": _by_class(each, class_names)} for each in predictions
    ]
    return (json.dumps(records, indent=1) + "\n").encode()


def write_predictions(
    predictions: Sequence[Prediction], class_names: Sequence[str], out: str
) -> None:
    """Write predictions to a file at any URI. Raises InputError where it cannot be written."""
    folder, name = split_uri(out)
    folder.write(name, format_predictions(predictions, class_names, name))


def _plain(each: Prediction) -> dict[str, object]:
    is_there = not each.reason
    is_predicted = is_there and not each.is_empty
    return {
        "input": each.input,
        "start": each.start,
        "stop": each.stop,
        "action": each.action if is_there else None,
        "predicted": each.predicted if is_predicted else None,
        "confidence": each.confidence if is_predicted else None,
        "milliseconds": round(each.milliseconds, 3),
        "reason": each.reason,
    }


def _by_class(each: Prediction, class_names: Sequence[str]) -> dict[str, float] | None:
    if each.probabilities is None:
        return None
    return dict(zip(class_names, each.probabilities.tolist(), strict=True))


def _parquet(predictions: Sequence[Prediction], class_names: Sequence[str]) -> bytes:
    columns = {
        "input": pa.string(),
        "start": pa.float64(),
        "stop": pa.float64(),
        "action": pa.string(),
        "predicted": pa.string(),
        "confidence": pa.float64(),
        "milliseconds": pa.float64(),
        "reason": pa.string(),
    }
    rows = [_plain(each) for each in predictions]
    arrays = [pa.array([row[name] for row in rows], kind) for name, kind in columns.items()]
    lists = [None if p.probabilities is None else p.probabilities.tolist() for p in predictions]
    arrays.append(pa.array(lists, pa.list_(pa.float64())))
    table = pa.Table.from_arrays(arrays, names=[*columns, "probabilities"])
    metadata = {"hhmnet.class_names": json.dumps(list(class_names))}
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata(metadata), sink, compression="zstd")
    return bytes(sink.getvalue())


def _csv(predictions: Sequence[Prediction], class_names: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    first = list(_plain(Prediction("")))
    writer.writerow([*first, *(f"p({name})" for name in class_names)])
    for each in predictions:
        probabilities = _by_class(each, class_names)
        shares = probabilities.values() if probabilities else [""] * len(class_names)
        writer.writerow([_cell(value) for value in _plain(each).values()] + [*shares])
    return text.getvalue().encode()


def _cell(value: object) -> object:
    """Return a value as a cell of a CSV, with ' before a text that a spreadsheet would execute.

    Names of files and classes come from strangers, and quotes do not keep spreadsheets from reading
    =, +, - or @ as the start of a formula. Parquet and JSON hold the texts as they are.
    """
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value
