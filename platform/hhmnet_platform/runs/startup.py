"""The time from the command to the first training step, by part."""

import os
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path


@dataclass
class Startup:
    """The parts of a start-up, in order.

    Attributes:
        began: Time of its beginning, as from `time.time()`, which all processes of a node share.
        ended: Time at which each part ended.
    """

    began: float
    ended: dict[str, float] = field(default_factory=dict)

    def mark(self, part: str, at: float | None = None) -> None:
        """Record that a part ended, now or at another time."""
        self.ended[part] = time.time() if at is None else at

    def __str__(self) -> str:
        ends = [self.began, *self.ended.values()]
        seconds = [after - before for before, after in pairwise(ends)]
        parts = (f"{part} {took:.1f}" for part, took in zip(self.ended, seconds, strict=True))
        return f"first step after {ends[-1] - ends[0]:.1f} s: {', '.join(parts)}"


def process_start_time() -> float:
    """Return when this process was started. Now, where the system does not record it."""
    try:
        stat = Path("/proc/self/stat").read_text()
    except OSError:
        return time.time()
    ticks_since_boot = int(stat.rpartition(")")[2].split()[19])
    boot_time = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return boot_time + ticks_since_boot / os.sysconf("SC_CLK_TCK")
