"""Free memory of a device, and whether data may stay on it."""

import torch

from hhmnet_core.checks.memory import free_host_memory


def fits_in_memory(size: int, device: torch.device, sharers: int) -> bool:
    """Return whether each process that shares a device may keep `size` bytes on it.

    Together they take at most a quarter of the free memory.
    """
    return size * sharers <= free_memory(device) // 4


def free_memory(device: torch.device) -> int:
    """Return the free bytes of a device; of the host, those available without swapping."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return free_host_memory()
