"""What workers and Ray's controller tell the driver.

Every process on the way unpickles these, the queue's own too, while the sender waits: so this
module imports neither torch nor Ray.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WorkerStarted:
    """A worker process is up. Sent to the driver, as are the other messages."""

    rank: int
    host: str
    pid: int


@dataclass(frozen=True)
class EpochsDone:
    """Epochs whose checkpoint is safe, as plain dicts of `EpochRecord`.

    The first message after a (re)start carries the whole history, the others the newest epoch.
    """

    records: list[dict[str, Any]]


@dataclass(frozen=True)
class FirstStep:
    """Training has begun, and what a worker did before. Sent when its first epoch is done."""

    ended: dict[str, float]


@dataclass(frozen=True)
class Failed:
    """Workers died or raised; Ray may start them again."""

    cause: str
