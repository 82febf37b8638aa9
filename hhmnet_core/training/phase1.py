"""Phase 1: one ST&ST encoder for each skeletal modality, tied by contrast between them."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from hhmnet_core.data.batches import DataConfig
from hhmnet_core.data.store import ClipSet
from hhmnet_core.fusion.scores import FUSION, ScoreTable, top1
from hhmnet_core.training.config import ContrastConfig, Phase1Config
from hhmnet_core.training.evaluation import table_metrics
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.reports import EpochRecord, EpochReport
from hhmnet_core.training.trainer import Trainer, make_encoder

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
) -> Iterator[EpochReport]:
    """Trains phase 1, yielding a report after each epoch.

    Args:
        config: All that decides the result.
        clips: The clip set of `config.data.store`.
        mesh: This process among the others.
        device: Where to train.
        resume: Folder of a checkpoint to go on from; one of the last epoch is only scored.

    Raises InputError where config, clips, mesh or checkpoint do not fit each other, or the
    training diverges.
    """
    trainer = Trainer(config, clips, mesh, device or torch.device("cpu"))
    history = trainer.load(resume) if resume is not None else []
    epochs = config.optim.epochs
    if len(history) == epochs:
        yield trainer.report(history, trainer.final_scores())
    for epoch in range(len(history) + 1, epochs + 1):
        started = time.perf_counter()
        metrics = trainer.train_epoch(epoch)
        trainer.validate(epoch, metrics, history)
        scores: list[ScoreTable] = []
        if epoch == epochs:
            scores = trainer.final_scores()
            for table in scores:
                ours = metrics.setdefault(table.modality, {})
                if table.split == "test":
                    ours.update(table_metrics(table))
                elif table.modality == FUSION:
                    ours["best/val_top1"] = top1(table)
        history.append(EpochRecord(epoch, time.perf_counter() - started, metrics))
        yield trainer.report(history, scores)


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
    trainer = Trainer(config, clips, Mesh.alone(modality_parallel), device)
    order = trainer.epoch_order(epoch=1)
    started = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first step also pays for what is done once
            started = time.perf_counter()
        trainer.train_step(1, step, order[step % len(order)])
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / steps
