"""Names of checkpoints, and the training progress that each name stands for."""

import re
from typing import NamedTuple

_STEP = "-step-"


class TrainingPoint(NamedTuple):
    """Training progress. Later points compare as greater.

    Attributes:
        epoch: Number of completed epochs.
        step: Completed steps of the next epoch. 0 between epochs.
    """

    epoch: int = 0
    step: int = 0

    def __str__(self) -> str:
        if not self.step:
            return f"after epoch {self.epoch}"
        return f"within epoch {self.epoch + 1}, after step {self.step}"


def checkpoint_name(point: TrainingPoint) -> str:
    """Return the folder name of a checkpoint. Names sort by progress."""
    within = f"{_STEP}{point.step:07d}" if point.step else ""
    return f"epoch-{point.epoch:05d}{within}"


def parse_checkpoint_name(checkpoint: str) -> TrainingPoint:
    """Return the progress of a checkpoint, from the name or the path of its folder."""
    epoch, _, step = checkpoint.rpartition("/")[2].removeprefix("epoch-").partition(_STEP)
    return TrainingPoint(int(epoch), int(step or 0))


def is_checkpoint(name: str) -> bool:
    """Return whether a folder name is that of a checkpoint."""
    return re.fullmatch(rf"epoch-\d+({_STEP}\d+)?", name, re.ASCII) is not None


def is_within_epoch(name: str) -> bool:
    """Return whether a folder name is that of a checkpoint from within an epoch."""
    return is_checkpoint(name) and _STEP in name
