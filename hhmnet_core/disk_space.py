"""Full disks: knowing one by the errors that libraries raise, and naming it with its free space."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from hhmnet_core.errors import AccessError

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_DISK_FULL_TEXT = re.compile(
    r"database or disk is full|No space left on device|Disk quota exceeded", re.IGNORECASE
)


def write_advice(path: str | os.PathLike[str], error: BaseException) -> str:
    """Return what to do about a local file that cannot be written, for the end of a message."""
    if not is_disk_full(error):
        return "give a place that you may write to"
    return f"{free_space(Path(path))}; free some, and give the command again"


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error, or one that it arose from, is about a full disk.

    Libraries (SQLite, pyarrow, safetensors, Ray) wrap the system's error, or keep its text only.
    """
    return any(
        getattr(each, "errno", None) in _DISK_FULL or _DISK_FULL_TEXT.search(str(each))
        for each in _with_causes(error)
    )


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and those that it arose from."""
    known: set[int] = set()
    while error is not None and id(error) not in known:
        known.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def free_space(path: Path) -> str:
    """Return the free space of the disk of a path, which need not exist, as text."""
    existing = _existing(path)
    mount = next(each for each in (existing, *existing.parents) if each.is_mount())
    free = shutil.disk_usage(existing).free
    return f"the disk of {existing}, mounted at {mount}, has {free / 1e6:.1f} MB free"


def disk_full_error(
    error: BaseException, places: Sequence[str | os.PathLike[str]] = ()
) -> AccessError:
    """Return the error of one line about a full disk: which file, which disk, and how much is free.

    Args:
        error: Error for which `is_disk_full` is true.
        places: Local files and folders that may have been written to. Where the error names no
            file, the one with the least free space is named, or the folder for temporary files.
    """
    named = _named_file(error)
    possible = [Path(each).absolute() for each in ([named] if named else places)]
    if not named:
        possible.append(Path(tempfile.gettempdir()))
    full = min(possible, key=lambda each: shutil.disk_usage(_existing(each)).free)
    what = f"Cannot write {named}" if named else "A file could not be written"
    return AccessError(
        f"{what}, the disk is full: {free_space(full)}; free some, and give the command again."
    )


def _named_file(error: BaseException) -> str:
    """Return the file that an error about a full disk, or one that it arose from, names."""
    for each in _with_causes(error):
        if isinstance(each, OSError) and each.errno in _DISK_FULL and each.filename:
            return str(each.filename)
        if found := re.search(r"(?:No space left on device|quota exceeded): '([^']+)'", str(each)):
            return found[1]
    return ""


def _existing(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    absolute = path.absolute()
    return next(each for each in (absolute, *absolute.parents) if each.exists())
