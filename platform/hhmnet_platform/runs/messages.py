"""Messages of workers and of Ray's controller to the driver, beside `hhmnet_core.notices`.

This module imports neither torch nor Ray: the queue's process unpickles each message while the
sender waits.
"""

from dataclasses import dataclass

from hhmnet_core.training.records import EpochRecord


@dataclass(frozen=True)
class WorkerStarted:
    """A worker process has started, one of `workers`."""

    rank: int
    workers: int
    host: str
    pid: int


@dataclass(frozen=True)
class EpochsDone:
    """Epochs whose checkpoint is complete.

    The first message after a start carries the whole history, the others the newest epoch.
    """

    records: list[EpochRecord]


@dataclass(frozen=True)
class NodesUsed:
    """Mean use of the nodes since the last report, in the epoch after `epoch`.

    Attributes:
        epoch: Number of completed epochs.
        usage: Usage of each node, by its host name and the name of a metric.
    """

    epoch: int
    usage: dict[str, dict[str, float]]


@dataclass(frozen=True)
class SavedWithin:
    """A checkpoint is complete that was taken after `step` steps of the epoch after `epoch`."""

    epoch: int
    step: int


@dataclass(frozen=True)
class FirstStep:
    """Training has begun. Sent when its first report is due.

    Attributes:
        ended: Time at which each part of a worker's start-up ended, as in `Startup`.
    """

    ended: dict[str, float]


@dataclass(frozen=True)
class Failed:
    """Workers died or raised; Ray may start them again.

    Attributes:
        cause: The cause in one line.
        announced: True where the removal of their node was announced, which is not a failure.
    """

    cause: str
    announced: bool = False


@dataclass(frozen=True)
class LeavingSoon:
    """Nodes with `workers` workers will be removed in `seconds` seconds (None: unknown)."""

    workers: int
    seconds: float | None


@dataclass(frozen=True)
class Resizing:
    """The number of workers changes from `before` to `after`, from the checkpoint just taken."""

    before: int
    after: int


@dataclass(frozen=True)
class TooFewNodes:
    """There is no room for `least` workers, the smallest number that the run may have."""

    least: int
