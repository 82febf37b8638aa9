"""What workers and Ray's controller tell the driver.

Every process on the way unpickles these, the queue's own too, while the sender waits: so this
module imports neither torch nor Ray.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WorkerStarted:
    """A worker process is up, one of so many. Sent to the driver, as are the other messages."""

    rank: int
    workers: int
    host: str
    pid: int


@dataclass(frozen=True)
class EpochsDone:
    """Epochs whose checkpoint is safe, as plain dicts of `EpochRecord`.

    The first message after a (re)start carries the whole history, the others the newest epoch.
    """

    records: list[dict[str, Any]]


@dataclass(frozen=True)
class SavedWithin:
    """A checkpoint is safe that was taken within an epoch, after so many of its steps."""

    epoch: int
    step: int


@dataclass(frozen=True)
class FirstStep:
    """Training has begun, and what a worker did before. Sent when its first report is due."""

    ended: dict[str, float]


@dataclass(frozen=True)
class Failed:
    """Workers died or raised; Ray may start them again.

    Attributes:
        cause: One line.
        announced: Whether their node was known to be taken away: then it is no failure.
    """

    cause: str
    announced: bool = False


@dataclass(frozen=True)
class LeavingSoon:
    """Nodes will be taken away, with so many workers, in so many seconds (None: not known)."""

    workers: int
    seconds: float | None


@dataclass(frozen=True)
class Resizing:
    """The workers are started anew in another number, from the checkpoint just taken."""

    before: int
    after: int


@dataclass(frozen=True)
class TooFewNodes:
    """There is no room for as many workers as a run needs at least."""

    least: int
