"""Records of training progress; imports neither torch nor Ray, so any process can unpickle them."""

from dataclasses import dataclass, field

Metrics = dict[str, dict[str, float]]  # by member and metric name


@dataclass(frozen=True)
class EpochRecord:
    """A completed epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        seconds: Training time in seconds.
        metrics: Metrics by member and name.
    """

    epoch: int
    seconds: float
    metrics: Metrics


@dataclass(frozen=True)
class PartialEpoch:
    """The completed steps of an epoch that has not ended.

    Attributes:
        steps: Number of completed steps.
        seconds: Training time of these steps in seconds.
        sums: Sums over these steps of what each step measures (loss, correct clips, contrast), one
            row for each trained member.
    """

    steps: int = 0
    seconds: float = 0.0
    sums: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """Training progress.

    Attributes:
        history: Completed epochs, in order.
        partial: Progress within the next epoch. None before its first step.
    """

    history: list[EpochRecord]
    partial: PartialEpoch | None = None
