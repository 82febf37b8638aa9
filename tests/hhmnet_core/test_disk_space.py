"""Full disks: known by any library's error, and named with their free space."""

import errno
import os
from pathlib import Path

import pytest

from hhmnet_core.disk_space import disk_full_error, free_space, is_disk_full

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/proc/self/none/file.bin")


def wrapped(error: BaseException) -> BaseException:
    outer = RuntimeError("a library failed")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (FULL, True),
        (wrapped(FULL), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), True),
        (RuntimeError("I/O error: No space left on device (os error 28)"), True),
        (OSError(errno.EACCES, "Permission denied"), False),
        (RuntimeError("out of memory"), False),
    ],
)
def test_full_disk_is_known_however_it_is_reported(error: BaseException, is_full: bool) -> None:
    assert is_disk_full(error) is is_full


def test_error_of_a_full_disk_names_the_file_and_its_disk(tmp_path: Path) -> None:
    for error in (FULL, wrapped(FULL), RuntimeError(f"Task failed: {FULL}")):
        assert str(disk_full_error(error)).startswith(
            "Cannot write /proc/self/none/file.bin, the disk is full: the disk of /proc/self, "
            "mounted at /proc, has 0.0 MB free; free some"
        )
    unnamed = str(disk_full_error(RuntimeError("database or disk is full"), [tmp_path / "a" / "b"]))
    assert unnamed.startswith("A file could not be written, the disk is full: the disk of ")


def test_free_space_names_the_mount(tmp_path: Path) -> None:
    assert free_space(tmp_path / "none").startswith(f"the disk of {tmp_path}, mounted at /")
