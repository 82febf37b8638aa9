"""Phase 2: a video network guided by a frozen skeleton encoder, and fused with the skeleton."""

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
    patience: Callable[[], float] | None = None,
) -> Iterator[EpochReport]:
    """Trains phase 2, yielding a report after each epoch.

    Args:
        config: All that decides the result, beside the guide.
        clips: The clip set of `config.data.store`.
        footage: Its videos.
        phase1: Folder of the last checkpoint of the phase-1 run that guides.
        mesh: This process among the others, not split by modality.
        device: Where to train.
        resume: Folder of a checkpoint to go on from; one of the last epoch is only scored.
        patience: How many seconds of training may go unsaved, asked on all processes at the same
            steps, every few seconds: a report is then also yielded within an epoch. None: after
            epochs alone.

    Raises InputError where config, clips, guide, mesh or checkpoint do not fit each other, or the
    training diverges.
    """
    device = device or torch.device("cpu")
    guide = FrozenEncoder(phase1, config.guidance.modality, clips, device)
    trainer = Phase2Trainer(config, clips, footage, guide, mesh, device)
    yield from train(trainer, config.optim.epochs, resume, patience)


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
    """Seconds that one of D processes takes for a training step, and the network's parameters."""
    batch = max(1, config.optim.batch // data_parallel)
    config = replace(config, optim=replace(config.optim, batch=batch))
    guide = FrozenEncoder(phase1, config.guidance.modality, clips, device)
    trainer = Phase2Trainer(config, clips, footage, guide, Mesh(), device)
    parameters = sum(p.numel() for p in trainer.stream.model.parameters())
    return step_seconds(trainer, steps), parameters
