"""Files of one JSON object a line, to which records are appended.

A power cut or a full disk may leave the last record cut off, or NUL bytes in its place. What is
whole before it counts.
"""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access, write_local
from hhmnet_core.identity import JsonObject

_USUAL_BYTES = 4096


def read_lines(
    path: Path,
    start: bytes,
    may_follow: Callable[[JsonObject], bool] = lambda record: False,
    notify: Callable[[str], object] = print,
) -> list[JsonObject]:
    """Return the records of a file; cut off what is damaged at its end, with a notice.

    Args:
        path: The file. Without it there are no records.
        start: Start of every record, by which a file of something else is known.
        may_follow: Function that returns whether a whole record that follows the damaged one can be
            dropped with it.
        notify: Function to call with the notice.

    Raises:
        InputError: A file of something else, or one that is damaged before its end.
        AccessError: A file that cannot be read or written at present.
    """
    try:
        with local_access(path):
            content = path.read_bytes()
    except FileNotFoundError:
        return []
    records: list[JsonObject] = []
    position = 0
    for line in content.splitlines(keepends=True):
        record = _parse(line)
        if record is None:
            break
        records.append(record)
        position += len(line)
    whole, rest = content[:position], content[position:]
    if not rest and (not whole or whole.endswith(b"\n")):
        return records
    is_cut_start = start.startswith(rest.rstrip(b"\0\n"))
    is_own = bool(records) or is_cut_start or rest.startswith(start)
    followers = [each for each in map(_parse, rest.splitlines()) if each is not None]
    if not is_own or not all(map(may_follow, followers)):
        raise InputError(
            f"Line {len(records) + 1} of {path} cannot be read, and it is not a last line that was "
            "cut off: give another file, or restore this one from a copy."
        )
    if rest:
        notify(
            f"note: the last record of {path} was cut off, as a power cut or a full disk does: its "
            f"{len(rest)} bytes are left out, {len(records)} whole records are kept"
        )
    with local_access(path, "write"):
        write_local(path, whole if whole.endswith(b"\n") or not whole else whole + b"\n")
    return records


def append_line(path: Path, record: JsonObject) -> None:
    """Append a record. What a full disk has cut off is taken back.

    Raises AccessError where the file cannot be written.
    """
    _append(path, (json.dumps(record) + "\n").encode())


def check_appendable(path: Path) -> None:
    """Raise AccessError where no record of usual size can be appended. The file is made."""
    size = _append(path, b"\0" * _USUAL_BYTES)
    with local_access(path, "write"):
        os.truncate(path, size)


def _append(path: Path, content: bytes) -> int:
    """Append bytes, all or none; return the size before."""
    with local_access(path, "write"), open(path, "ab", buffering=0) as file:
        size = file.tell()
        try:
            if file.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            if path.is_file():
                file.truncate(size)
            raise
    return size


def _parse(line: bytes) -> JsonObject | None:
    """Return the record of a line, None where it is not whole."""
    try:
        record = parse_json(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
