"""Records of training progress; imports neither torch nor Ray, so any process can unpickle them."""

from dataclasses import dataclass, field

Metrics = dict[str, dict[str, float]]


@dataclass(frozen=True)
class EpochRecord:
    """What an epoch gave: its number from 1, its duration, metrics by modality and name."""

    epoch: int
    seconds: float
    metrics: Metrics


@dataclass(frozen=True)
class PartialEpoch:
    """What is done of an epoch that is under way.

    Attributes:
        steps: How many.
        seconds: What they took.
        sums: Of what each step gave, by trained modality.
    """

    steps: int = 0
    seconds: float = 0.0
    sums: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes:
        history: Every epoch that is completed.
        part: Of the epoch after them; None where it has not begun.
    """

    history: list[EpochRecord]
    part: PartialEpoch | None = None
