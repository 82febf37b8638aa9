"""How far a run has come, and what the checkpoints are called that hold it."""

from typing import NamedTuple

STEP = "-step-"


class TrainingPoint(NamedTuple):
    """How far training has come; later ones are greater.

    Attributes:
        epoch: That is completed.
        step: Of the epoch after it; 0 where that has not begun.
    """

    epoch: int = 0
    step: int = 0

    def __str__(self) -> str:
        if not self.step:
            return f"after epoch {self.epoch}"
        return f"within epoch {self.epoch + 1}, after step {self.step}"


def checkpoint_name(point: TrainingPoint) -> str:
    """The folder of a checkpoint, in its run's; they sort as training goes."""
    within = f"{STEP}{point.step:07d}" if point.step else ""
    return f"epoch-{point.epoch:05d}{within}"


def parse_checkpoint_name(checkpoint: str) -> TrainingPoint:
    """What such a folder holds."""
    epoch, _, step = checkpoint.rpartition("/")[2].removeprefix("epoch-").partition(STEP)
    return TrainingPoint(int(epoch), int(step or 0))


def is_within(name: str) -> bool:
    """Whether a folder is a checkpoint that was taken within an epoch."""
    return name.startswith("epoch-") and STEP in name
