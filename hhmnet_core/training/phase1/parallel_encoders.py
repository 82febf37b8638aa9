"""Run the encoders of one process in parallel on its cores.

An operation of these small networks is too short to be split over cores: two threads that each run
whole encoders are faster than one encoder whose every operation two threads share. On a GPU they
run one after the other, where they are not trained as one (`stacked_encoders`).
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
        num_encoders: Number of encoders.
        device: Device of the encoders.
    """

    def __init__(self, num_encoders: int, device: torch.device) -> None:
        threads = torch.get_num_threads()
        workers = min(num_encoders, threads) if device.type == "cpu" else 1
        self._pool = None
        if workers > 1:
            share = threads // workers
            self._pool = ThreadPoolExecutor(workers, "encoder", torch.set_num_threads, (share,))

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return the function's result for each item, in order; the first exception is raised."""
        if self._pool is None:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))
