"""Memory that one file may take once it is read, and the host's free memory.

Sizes come from the headers of a file, before its content is read: a small file may expand to any
size.
"""

import os
import sys
from contextlib import suppress

from hhmnet_core.errors import AccessError, InputError

MAX_FILE_MEMORY = 4 * 2**30  # bytes
# Memory of text as Python values, for each byte of it: a list of empty lines takes 41.
TEXT_EXPANSION = 48
_NEGLIGIBLE = 2**20  # bytes
_LARGEST_SHOWN = 2**63  # bytes; headers may claim numbers that no float holds


def check_file_memory(size: int, what: str) -> None:
    """Check that the content of one file may be read into memory.

    Args:
        size: Bytes that it takes once read, from its header.
        what: Name of the file or its part, for messages.

    Raises:
        InputError: More than `MAX_FILE_MEMORY`.
        AccessError: More than is free at present.
    """
    if size > MAX_FILE_MEMORY:
        raise InputError(
            f"{what} would need {_gigabytes(size)} of memory, the limit for one file is "
            f"{_gigabytes(MAX_FILE_MEMORY)}: get it again if it is damaged, or split it."
        )
    check_free_memory(size, what)


def check_free_memory(size: int, what: str) -> None:
    """Raise AccessError where the host has less than `size` bytes of free memory."""
    if size < _NEGLIGIBLE:  # thousands of small files are read
        return
    if size > (free := free_host_memory()):
        raise AccessError(
            f"{what} would need {_gigabytes(size)} of memory, but {_gigabytes(free)} are free: "
            "end other programs, or use a machine with more memory."
        )


def free_host_memory() -> int:
    """Return the bytes of the host's memory that are available without swapping."""
    with suppress(OSError, StopIteration, ValueError), open("/proc/meminfo") as facts:
        line = next(line for line in facts if line.startswith("MemAvailable:"))
        return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sys.maxsize  # unknown


def _gigabytes(size: int) -> str:
    return f"{min(size, _LARGEST_SHOWN) / 1e9:,.1f} GB"
