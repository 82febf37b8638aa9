"""JSON files that hold one dataclass: the results of runs, fusions and ensembles."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.identity import JsonObject, identity
from hhmnet_core.passwords import without_passwords

Record = TypeVar("Record")


def format_record(record: Any) -> bytes:
    """Return the content of a file that holds a dataclass, or a JSON object; no passwords.

    Later fields that have their default are left out, as earlier versions wrote the file.
    """
    values = record if isinstance(record, dict) else identity(record)
    return (json.dumps(without_passwords(values), indent=2) + "\n").encode()


def parse_record(
    kind: type[Record],
    content: bytes,
    source: str,
    command: str,
    adapt: Callable[[JsonObject], JsonObject] = lambda values: values,
) -> Record:
    """Return the dataclass that a file holds.

    Args:
        kind: The dataclass.
        content: The file's content, of this or an earlier version.
        source: The file's URI, for the error message.
        command: Whose command writes the file anew, such as "the run's", and what it does.
        adapt: Function from the names in the file to those of the dataclass.

    Raises:
        InputError: Not a JSON object, or a field that is missing or of the wrong kind.
    """
    try:
        values = parse_json(content)
        return from_json(kind, adapt(values) if isinstance(values, dict) else values)
    except (ValueError, InputError) as error:
        reason = str(error).rstrip(".")
        raise InputError(
            f"{source} cannot be read ({reason}): delete that file, and give {command}."
        ) from error
