"""The training loop of both phases, and the time of a training step."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.training.evaluation import table_metrics
from hhmnet_core.training.pace import Pace
from hhmnet_core.training.records import EpochRecord, Metrics, PartialEpoch, Progress
from hhmnet_core.training.reports import EpochReport
from hhmnet_core.training.step_watch import StepWatch
from hhmnet_core.training.trainer import Trainer


def train(
    trainer: Trainer[Any],
    epochs: int,
    resume: Path | None,
    max_unsaved: Callable[[], float] | None = None,
    min_unsaved: float = 0.0,
) -> Iterator[EpochReport]:
    """Train to the last epoch, yielding reports after epochs and within them.

    Args:
        trainer: Trainer of a phase.
        epochs: Number of epochs.
        resume: Folder of the checkpoint to resume from; one of the last epoch is only scored. None:
            a new start.
        max_unsaved: Returns the seconds of training that may go unsaved: when they have passed, a
            report is yielded within the epoch (see `Pace`). None: no reports within epochs.
        min_unsaved: Seconds of training after a report in which the end of an epoch, unless it is
            the last one, yields none.

    Raises InputError as the trainer does.
    """
    progress = Progress([]) if resume is None else trainer.load(resume)
    history, partial = progress.history, progress.partial
    pace = Pace(trainer.mesh, max_unsaved)
    watch = StepWatch(trainer.mesh)
    if len(history) == epochs:
        state = trainer.state(Progress(history))
        yield EpochReport(epochs, history[-1].metrics, list(history), state, trainer.final_scores())
    for epoch in range(len(history) + 1, epochs + 1):
        done, partial = partial or PartialEpoch(), None
        order = trainer.epoch_order(epoch)
        step_sums: list[Tensor] = []
        is_due = False
        pace.begin_epoch()
        watch.begin(epoch, done.steps, len(order))
        for step, prepared in trainer.prepared(epoch, order, done.steps):
            step_sums.append(trainer.train_step(prepared))
            watch.step(step_sums[-1], len(order[step]))
            is_due = pace.is_due()
            if is_due and step + 1 < len(order):
                done = _advance(done, trainer.sum_over_mesh(step_sums), pace.epoch_seconds)
                step_sums = []
                state = trainer.state(Progress(history, done))
                yield EpochReport(
                    len(history), {}, list(history), state, [], done.steps, pace.seconds
                )
                pace.restart()
        done = _advance(done, trainer.sum_over_mesh(step_sums), 0.0)
        metrics = trainer.train_metrics(epoch, torch.tensor(done.sums, dtype=torch.float64))
        trainer.validate(epoch, metrics, history)
        scores: list[ScoreTable] = []
        if epoch == epochs:
            scores = trainer.final_scores()
            _add_final_metrics(metrics, trainer.final_metrics(), scores)
        history.append(EpochRecord(epoch, done.seconds + pace.epoch_seconds, metrics))
        if is_due or epoch == epochs or pace.has_passed(min_unsaved):
            state = trainer.state(Progress(history))
            yield EpochReport(epoch, metrics, list(history), state, scores, seconds=pace.seconds)
            pace.restart()


def step_seconds(trainer: Trainer[Any], steps: int) -> float:
    """Return the mean duration in seconds of a training step of this process."""
    batch_n = trainer.epoch_order(epoch=1)[0]  # a batch of another shape may be compiled anew
    started = 0.0
    for step in range(steps + 1):
        if step == 1:  # the first step also pays for what is done once
            started = time.perf_counter()
        trainer.train_step(trainer.prepare(1, step, batch_n))
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    return (time.perf_counter() - started) / steps


def _advance(done: PartialEpoch, sums_smv: Tensor, seconds: float) -> PartialEpoch:
    """Return a partial epoch after more steps, which measured (steps, members, values).

    Their sums are added one after the other, so that the result does not depend on where an epoch
    was interrupted.
    """
    sums_smv = sums_smv.cpu()
    start_smv = torch.zeros_like(sums_smv[:1])
    if done.sums:
        start_smv[0] = torch.tensor(done.sums, dtype=sums_smv.dtype)
    total_mv = torch.cat([start_smv, sums_smv]).cumsum(0)[-1]
    return PartialEpoch(done.steps + len(sums_smv), done.seconds + seconds, total_mv.tolist())


def _add_final_metrics(metrics: Metrics, final: Metrics, scores: list[ScoreTable]) -> None:
    for member, values in final.items():
        metrics.setdefault(member, {}).update(values)
    for table in scores:
        of_member = metrics.setdefault(table.modality, {})
        if table.split == "test":
            of_member.update(table_metrics(table))
        elif table.modality == FUSION:
            of_member["best/val_top1"] = top1(table)
