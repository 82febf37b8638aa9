"""The encoders of one process side by side on its cores.

An operation of these small networks is too short to be split over cores: two threads that each
run whole encoders beat one encoder whose every operation two threads share. On a GPU the order of
the kernels is the device's matter, and the encoders take turns.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class ParallelEncoders:
    """Applies functions to the encoders of one process.

    Args:
        encoders: How many there are.
        device: Where they are.
    """

    def __init__(self, encoders: int, device: torch.device) -> None:
        threads = torch.get_num_threads()
        workers = min(encoders, threads) if device.type == "cpu" else 1
        self._pool = None
        if workers > 1:
            share = threads // workers
            self._pool = ThreadPoolExecutor(workers, "encoder", torch.set_num_threads, (share,))

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The function of each item, in order; an exception of one is raised here."""
        if self._pool is None:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))
