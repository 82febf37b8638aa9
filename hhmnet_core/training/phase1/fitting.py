"""Phase 1: one ST&ST encoder for each skeletal modality, tied by contrast between them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.store.reading import ClipSet
from hhmnet_core.training.epochs import step_seconds, train
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer, make_encoder
from hhmnet_core.training.records import EpochRecord
from hhmnet_core.training.reports import EpochReport

__all__ = [
    "ContrastConfig",
    "DataConfig",
    "EpochRecord",
    "EpochReport",
    "Phase1Config",
    "fit",
    "make_encoder",
    "measure_step_seconds",
]


def fit(
    config: Phase1Config,
    clips: ClipSet,
    mesh: Mesh,
    *,
    device: torch.device | None = None,
    resume: Path | None = None,
    patience: Callable[[], float] | None = None,
) -> Iterator[EpochReport]:
    """Trains phase 1, yielding a report after each epoch.

    Args:
        config: All that decides the result.
        clips: The clip set of `config.data.store`.
        mesh: This process among the others.
        device: Where to train.
        resume: Folder of a checkpoint to go on from; one of the last epoch is only scored.
        patience: How many seconds of training may go unsaved, asked on all processes at the same
            steps, every few seconds: a report is then also yielded within an epoch. None: after
            epochs alone.

    Raises InputError where config, clips, mesh or checkpoint do not fit each other, or the
    training diverges.
    """
    trainer = Phase1Trainer(config, clips, mesh, device or torch.device("cpu"))
    yield from train(trainer, config.optim.epochs, resume, patience)


def measure_step_seconds(
    config: Phase1Config,
    clips: ClipSet,
    device: torch.device,
    *,
    data_parallel: int = 1,
    modality_parallel: int = 1,
    steps: int = 3,
) -> float:
    """Seconds that one process of a D x P mesh takes for a training step, without communication."""
    batch = max(1, config.optim.batch // data_parallel)
    config = replace(config, optim=replace(config.optim, batch=batch))
    trainer = Phase1Trainer(config, clips, Mesh.alone(modality_parallel), device)
    return step_seconds(trainer, steps)
