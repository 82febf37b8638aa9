"""What every phase does with its trainer: epoch after epoch, scores at the end; a step timed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from hhmnet_core.fusion.scores import FUSION, ScoreTable, top1
from hhmnet_core.training.evaluation import table_metrics
from hhmnet_core.training.reports import EpochRecord, EpochReport, Metrics


class Trains(Protocol):
    """The trainer of a phase on one process."""

    device: torch.device

    def load(self, folder: Path) -> list[EpochRecord]:
        """Restores a checkpoint, and returns its history."""

    def epoch_order(self, epoch: int) -> list[Tensor]:
        """The epoch's global batches as clip indices."""

    def train_step(self, epoch: int, step: int, clips_n: Tensor) -> Tensor:
        """One step on a global batch."""

    def train_epoch(self, epoch: int) -> Metrics:
        """Trains one epoch."""

    def validate(self, epoch: int, metrics: Metrics, history: list[EpochRecord]) -> None:
        """Adds the val metrics, and keeps the best weights so far."""

    def final_scores(self) -> list[ScoreTable]:
        """Tables of val and test."""

    def final_metrics(self) -> Metrics:
        """What is worth knowing at the end beside the scores."""

    def report(self, history: list[EpochRecord], scores: list[ScoreTable]) -> EpochReport:
        """What is yielded after an epoch."""


def train(trainer: Trains, epochs: int, resume: Path | None) -> Iterator[EpochReport]:
    """Trains to the last epoch, yielding a report after each; goes on from a checkpoint.

    A checkpoint of the last epoch is only scored. Raises InputError as the trainer does.
    """
    history = trainer.load(resume) if resume is not None else []
    if len(history) == epochs:
        yield trainer.report(history, trainer.final_scores())
    for epoch in range(len(history) + 1, epochs + 1):
        started = time.perf_counter()
        metrics = trainer.train_epoch(epoch)
        trainer.validate(epoch, metrics, history)
        scores: list[ScoreTable] = []
        if epoch == epochs:
            scores = trainer.final_scores()
            for member, values in trainer.final_metrics().items():
                metrics.setdefault(member, {}).update(values)
            for table in scores:
                ours = metrics.setdefault(table.modality, {})
                if table.split == "test":
                    ours.update(table_metrics(table))
                elif table.modality == FUSION:
                    ours["best/val_top1"] = top1(table)
        history.append(EpochRecord(epoch, time.perf_counter() - started, metrics))
        yield trainer.report(history, scores)


def step_seconds(trainer: Trains, steps: int) -> float:
    """Seconds of a training step of this process, without communication."""
    order = trainer.epoch_order(epoch=1)
    started = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first step also pays for what is done once
            started = time.perf_counter()
        trainer.train_step(1, step, order[step % len(order)])
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    return (time.perf_counter() - started) / steps
