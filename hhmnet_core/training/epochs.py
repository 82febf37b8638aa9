"""What every phase does with its trainer: epoch after epoch, scores at the end; a step timed."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.training.evaluation import table_metrics
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.pace import Pace
from hhmnet_core.training.records import EpochRecord, Metrics, PartialEpoch, Progress
from hhmnet_core.training.reports import EpochReport, TrainingState


class Trainer(Protocol):
    """The trainer of a phase on one process."""

    device: torch.device
    mesh: Mesh

    def load(self, folder: Path) -> Progress:
        """Restores a checkpoint, and returns how far it had come."""

    def epoch_order(self, epoch: int) -> list[Tensor]:
        """The epoch's global batches as clip indices."""

    def train_step(self, epoch: int, step: int, clips_n: Tensor) -> Tensor:
        """One step on a global batch."""

    def summed(self, steps: list[Tensor]) -> Tensor:
        """What steps gave, over all processes: (steps, modalities, values)."""

    def train_metrics(self, epoch: int, sums: Tensor) -> Metrics:
        """Of an epoch, from the sums (modalities, values) of what its steps gave."""

    def validate(self, epoch: int, metrics: Metrics, history: list[EpochRecord]) -> None:
        """Adds the val metrics, and keeps the best weights so far."""

    def final_scores(self) -> list[ScoreTable]:
        """Tables of val and test."""

    def final_metrics(self) -> Metrics:
        """What is worth knowing at the end beside the scores."""

    def state(self, progress: Progress) -> TrainingState:
        """What a checkpoint holds."""


def train(
    trainer: Trainer,
    epochs: int,
    resume: Path | None,
    patience: Callable[[], float] | None = None,
) -> Iterator[EpochReport]:
    """Trains to the last epoch, yielding a report after each; goes on from a checkpoint.

    A checkpoint of the last epoch is only scored. With patience, a report is also yielded within
    an epoch, as `Pace` says. Raises InputError as the trainer does.
    """
    progress = Progress([]) if resume is None else trainer.load(resume)
    history, part = progress.history, progress.part
    pace = Pace(trainer.mesh, patience)
    if len(history) == epochs:
        state = trainer.state(Progress(history))
        yield EpochReport(epochs, history[-1].metrics, list(history), state, trainer.final_scores())
    for epoch in range(len(history) + 1, epochs + 1):
        done, part = part or PartialEpoch(), None
        order = trainer.epoch_order(epoch)
        given: list[Tensor] = []
        pace.restart()
        for step in range(done.steps, len(order)):
            given.append(trainer.train_step(epoch, step, order[step]))
            if pace.is_due() and step + 1 < len(order):
                done, given = _after(done, trainer.summed(given), pace.seconds), []
                state = trainer.state(Progress(history, done))
                yield EpochReport(
                    len(history), {}, list(history), state, [], done.steps, pace.seconds
                )
                pace.restart()
        done = _after(done, trainer.summed(given), 0.0)
        metrics = trainer.train_metrics(epoch, torch.tensor(done.sums, dtype=torch.float64))
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
        history.append(EpochRecord(epoch, done.seconds + pace.seconds, metrics))
        state = trainer.state(Progress(history))
        yield EpochReport(epoch, metrics, list(history), state, scores, seconds=pace.seconds)


def _after(done: PartialEpoch, given: Tensor, seconds: float) -> PartialEpoch:
    """The part of an epoch after more steps: (steps, modalities, values) is what they gave.

    Added one after the other, so that it does not matter where an epoch was interrupted.
    """
    given = given.cpu()
    start = torch.tensor(done.sums, dtype=given.dtype) if done.sums else torch.zeros_like(given[0])
    sums = torch.cat([start[None], given]).cumsum(0)[-1]
    return PartialEpoch(done.steps + len(given), done.seconds + seconds, sums.tolist())


def step_seconds(trainer: Trainer, steps: int) -> float:
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
