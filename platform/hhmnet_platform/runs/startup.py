"""Where the time from the command to the first training step goes."""

import os
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path


@dataclass
class Startup:
    """The parts of a start-up, in their order.

    Attributes:
        began: When it began, as `time.time()` says it, which all processes of a node agree on.
        ended: When each part ended.
    """

    began: float
    ended: dict[str, float] = field(default_factory=dict)

    def mark(self, part: str, at: float | None = None) -> None:
        """Notes that `part` ended now, or at another time."""
        self.ended[part] = time.time() if at is None else at

    def __str__(self) -> str:
        ends = [self.began, *self.ended.values()]
        seconds = [after - before for before, after in pairwise(ends)]
        parts = (f"{part} {took:.1f}" for part, took in zip(self.ended, seconds, strict=True))
        return f"first step after {ends[-1] - ends[0]:.1f} s: {', '.join(parts)}"


def process_began() -> float:
    """When this process was started; now, where the system does not say."""
    try:
        stat = Path("/proc/self/stat").read_text()
    except OSError:
        return time.time()
    ticks = int(stat.rpartition(")")[2].split()[19])  # since the machine was started
    machine_began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return machine_began + ticks / os.sysconf("SC_CLK_TCK")
