"""Free memory of a device, and whether data may stay on it."""

import os
import sys
from contextlib import suppress

import torch


def fits_in_memory(size: int, device: torch.device, sharers: int) -> bool:
    """Return whether each process that shares a device may keep `size` bytes on it.

    Together they take at most a quarter of the free memory.
    """
    return size * sharers <= free_memory(device) // 4


def free_memory(device: torch.device) -> int:
    """Return the free bytes of a device; of the host, those available without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    with suppress(OSError, StopIteration, ValueError), open("/proc/meminfo") as facts:
        line = next(line for line in facts if line.startswith("MemAvailable:"))
        return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sys.maxsize  # unknown
