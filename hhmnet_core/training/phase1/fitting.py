"""Train phase 1, and time its training step."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.epochs import step_seconds, train
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.initial_weights import InitialWeights
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_core.training.reports import EpochReport


def fit(
    config: Phase1Config,
    clips: ClipSet,
    mesh: Mesh,
    *,
    device: torch.device | None = None,
    resume: Path | None = None,
    max_unsaved: Callable[[], float] | None = None,
    min_unsaved: float = 0.0,
    initial: InitialWeights | None = None,
) -> Iterator[EpochReport]:
    """Train phase 1, yielding a report after each epoch.

    Args:
        config: All that decides the result.
        clips: Clips of `config.data.store`.
        mesh: This process among the workers.
        device: Device to train on. Default: the CPU.
        resume: Folder of the checkpoint to resume from; one of the last epoch is only scored.
            Default: a new start.
        max_unsaved: Returns the seconds of training that may go unsaved, called on all processes at
            the same steps, every few seconds: when they have passed, a report is yielded within
            the epoch too. None: reports at the end of epochs only.
        min_unsaved: Seconds of training after a report in which the end of an epoch, unless it is
            the last one, yields none.
        initial: Weights that the encoders start from. Default: new ones.

    Raises InputError where config, clips, mesh, weights or checkpoint do not fit each other, or
    where the training diverges.
    """
    trainer = Phase1Trainer(config, clips, mesh, device or torch.device("cpu"), initial)
    yield from train(trainer, trainer.config.optim.epochs, resume, max_unsaved, min_unsaved)


def measure_step_seconds(
    config: Phase1Config,
    clips: ClipSet,
    device: torch.device,
    *,
    data_parallel: int = 1,
    modality_parallel: int = 1,
    steps: int = 3,
) -> float:
    """Return the seconds of a training step of one process of a D x P mesh.

    Communication is not included.

    Args:
        config: Config of phase 1.
        clips: Clips of `config.data.store`.
        device: Device to train on.
        data_parallel: D, the number of processes that a batch is split over.
        modality_parallel: P, the number of processes that the modalities are split over.
        steps: Number of steps that are timed.
    """
    batch = max(1, config.optim.batch // data_parallel)
    config = replace(config, optim=replace(config.optim, batch=batch))
    trainer = Phase1Trainer(config, clips, Mesh.alone(modality_parallel), device)
    return step_seconds(trainer, steps)
