"""Files of one JSON object a line, to which records are appended.

A power cut or a full disk may leave the last record cut off, or NUL bytes in its place. What is
whole before it counts. Buckets know no appending: there a file is written anew with each record.
"""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access, split_uri, write_local
from hhmnet_core.identity import JsonObject

_USUAL_BYTES = 4096
Uri = str | os.PathLike[str]


def read_lines(
    uri: Uri,
    start: bytes,
    may_follow: Callable[[JsonObject], bool] = lambda record: False,
    notify: Callable[[str], object] = print,
) -> list[JsonObject]:
    """Return the records of a file; cut off what is damaged at its end, with a notice.

    Args:
        uri: The file. Without it there are no records.
        start: Start of every record, by which a file of something else is known.
        may_follow: Function that returns whether a whole record that follows the damaged one can be
            dropped with it.
        notify: Function to call with the notice.

    Raises:
        InputError: A file of something else, or one that is damaged before its end.
        AccessError: A file that cannot be read or written at present.
    """
    try:
        content = _read(uri)
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
            f"Line {len(records) + 1} of {uri} cannot be read, and it is not a last line that was "
            "cut off: give another file, or restore this one from a copy."
        )
    if rest:
        notify(
            f"note: the last record of {uri} was cut off, as a power cut or a full disk does: its "
            f"{len(rest)} bytes are left out, {len(records)} whole records are kept"
        )
    _write(uri, whole if whole.endswith(b"\n") or not whole else whole + b"\n")
    return records


def append_line(uri: Uri, record: JsonObject) -> None:
    """Append a record. What a full disk has cut off is taken back.

    Raises AccessError where the file cannot be written.
    """
    line = (json.dumps(record) + "\n").encode()
    if path := local_path(uri):
        _append(path, line)
    else:
        _write(uri, _read_if_any(uri) + line)


def check_appendable(uri: Uri) -> None:
    """Raise AccessError where no record of usual size can be appended. The file is made."""
    if path := local_path(uri):
        size = _append(path, b"\0" * _USUAL_BYTES)
        with local_access(path, "write"):
            os.truncate(path, size)
    else:
        _write(uri, _read_if_any(uri))


def local_path(uri: Uri) -> Path | None:
    """Return the path of a file on this machine; None for one in a bucket."""
    if isinstance(uri, Path):
        return uri
    location, name = split_uri(uri)
    return Path(location.at(name)) if location.is_local else None


def _read(uri: Uri) -> bytes:
    if path := local_path(uri):
        with local_access(path):
            return path.read_bytes()
    location, name = split_uri(uri)
    return location.read(name)


def _read_if_any(uri: Uri) -> bytes:
    try:
        return _read(uri)
    except FileNotFoundError:
        return b""


def _write(uri: Uri, content: bytes) -> None:
    if path := local_path(uri):
        with local_access(path, "write"):
            write_local(path, content)
    else:
        location, name = split_uri(uri)
        location.write(name, content)


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
