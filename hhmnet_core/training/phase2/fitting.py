"""Train phase 2, and time its training step."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from hhmnet_core.inputs.footage import Footage
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.epochs import step_seconds, train
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.trainer import Phase2Trainer
from hhmnet_core.training.reports import EpochReport


def fit(
    config: Phase2Config,
    clips: ClipSet,
    footage: Footage,
    phase1: Path,
    mesh: Mesh,
    *,
    device: torch.device | None = None,
    resume: Path | None = None,
    max_unsaved: Callable[[], float] | None = None,
    min_unsaved: float = 0.0,
) -> Iterator[EpochReport]:
    """Train phase 2, yielding a report after each epoch.

    Args:
        config: All that decides the result, beside the guide.
        clips: Clips of `config.data.store`.
        footage: Videos of the clips.
        phase1: Folder of the last checkpoint of the phase-1 run that guides.
        mesh: This process among the workers, not split by modality.
        device: Device to train on. Default: the CPU.
        resume: Folder of the checkpoint to resume from; one of the last epoch is only scored.
            Default: a new start.
        max_unsaved: Returns the seconds of training that may go unsaved, called on all processes at
            the same steps, every few seconds: when they have passed, a report is yielded within
            the epoch too. None: reports at the end of epochs only.
        min_unsaved: Seconds of training after a report in which the end of an epoch, unless it is
            the last one, yields none.

    Raises InputError where config, clips, guide, mesh or checkpoint do not fit each other, or where
    the training diverges.
    """
    device = device or torch.device("cpu")
    guide = FrozenEncoder.read(phase1, config.guidance.modality, clips, device)
    trainer = Phase2Trainer(config, clips, footage, guide, mesh, device)
    yield from train(trainer, trainer.config.optim.epochs, resume, max_unsaved, min_unsaved)


def measure_step_seconds(
    config: Phase2Config,
    clips: ClipSet,
    footage: Footage,
    phase1: Path,
    device: torch.device,
    *,
    data_parallel: int = 1,
    steps: int = 3,
) -> tuple[float, int]:
    """Return the seconds of a training step of one of D processes, and the network's parameters.

    Communication is not included.

    Args:
        config: Config of phase 2.
        clips: Clips of `config.data.store`.
        footage: Videos of the clips.
        phase1: Folder of the last checkpoint of the phase-1 run that guides.
        device: Device to train on.
        data_parallel: D, the number of processes that a batch is split over.
        steps: Number of steps that are timed.
    """
    batch = max(1, config.optim.batch // data_parallel)
    config = replace(config, optim=replace(config.optim, batch=batch))
    guide = FrozenEncoder.read(phase1, config.guidance.modality, clips, device)
    trainer = Phase2Trainer(config, clips, footage, guide, Mesh(), device)
    parameters = sum(p.numel() for p in trainer.stream.model.parameters())
    return step_seconds(trainer, steps), parameters
