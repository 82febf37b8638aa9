"""Predictions in a folder of parquet files, to which processes add side by side."""

import hashlib
import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.identity import JsonObject
from hhmnet_platform.serving.predictions import Prediction, format_predictions

_PREFIX, _SUFFIX = "part-", ".parquet"
BINDING = "predictions.json"


def bind(out: str, made_by: JsonObject) -> None:
    """Bind a folder to what its predictions are made by, or check that it is the same.

    Args:
        out: The folder.
        made_by: Values that decide the predictions, and the version of each recording's file.

    Raises:
        InputError: The folder is bound to another model, other options, or other recordings.
    """
    place = folder(out)
    try:
        known = parse_json(place.read(BINDING))
    except FileNotFoundError:
        if place.names():
            raise InputError(
                f"{out} holds files, but no {BINDING}: give --out a folder of its own."
            ) from None
        place.write(BINDING, (json.dumps(made_by) + "\n").encode())
        return
    except ValueError as error:
        raise InputError(
            f"{BINDING} in {out} cannot be read ({error}): give another --out."
        ) from error
    old = known.get("recordings", {}) if isinstance(known, dict) else {}
    new = made_by["recordings"]
    changed = sorted(name for name in old if name in new and old[name] != new[name])
    if changed or not isinstance(known, dict):
        raise InputError(
            f"{out} holds predictions of other recordings: {', '.join(changed[:3])} have changed "
            "since. Give another --out."
        )
    other = sorted(key for key in made_by if key != "recordings" and known.get(key) != made_by[key])
    if other:
        raise InputError(
            f"{out} holds predictions made with another {', '.join(other)}: give another --out."
        )
    if set(new) - set(old):
        place.write(BINDING, (json.dumps(made_by | {"recordings": old | new}) + "\n").encode())


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
        if name == BINDING:
            continue
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
