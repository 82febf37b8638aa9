"""The training loop with a trainer that counts: reports, resuming, final scores, a timed step."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.training import epochs
from hhmnet_core.training.epochs import step_seconds, train
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.records import EpochRecord, Metrics, Progress
from hhmnet_core.training.reports import EpochReport

STEPS = 4
FOLDER = Path("a checkpoint")


def table(modality: str, split: str) -> ScoreTable:
    """A table of two clips, the first of them right."""
    logits = np.array([[1, 0], [1, 0]], np.float32)
    return ScoreTable(("a", "b"), np.array([0, 1]), logits, "", modality, split, "d", ("x", "y"))


class CountingTrainer:
    """Trains one member on batches of one clip; its loss is made up of epoch and step."""

    def __init__(self, resumed: Progress | None = None) -> None:
        self.mesh, self.device = Mesh(), torch.device("cpu")
        self.resumed, self.taken = resumed, list[tuple[int, int]]()

    def load(self, folder: Path) -> Progress:
        assert folder == FOLDER and self.resumed is not None
        return self.resumed

    def epoch_order(self, epoch: int) -> list[Tensor]:
        return [torch.tensor([10 * epoch + step]) for step in range(STEPS)]

    def prepare(self, epoch: int, step: int, batch_n: Tensor) -> tuple[int, int]:
        assert batch_n.tolist() == [10 * epoch + step]
        return epoch, step

    def prepared(
        self, epoch: int, order: list[Tensor], start: int
    ) -> Iterator[tuple[int, tuple[int, int]]]:
        for step in range(start, len(order)):
            yield step, self.prepare(epoch, step, order[step])

    def train_step(self, prepared: tuple[int, int]) -> Tensor:
        epoch, step = prepared
        self.taken.append(prepared)
        return torch.tensor([[0.1 * (epoch + step), 1.0, 1e-17]], dtype=torch.float64)

    def sum_over_mesh(self, steps: list[Tensor]) -> Tensor:
        return torch.stack(steps)

    def train_metrics(self, epoch: int, sums_m3: Tensor) -> Metrics:
        loss, correct, _ = sums_m3[0].tolist()
        return {"video": {"train/loss": loss, "train/top1": correct / STEPS}}

    def validate(self, epoch: int, metrics: Metrics, history: list[EpochRecord]) -> None:
        assert [record.epoch for record in history] == list(range(1, epoch))
        metrics["video"]["val/top1"] = 0.5

    def final_scores(self) -> list[ScoreTable]:
        return [table(member, split) for split in ("val", "test") for member in ("video", "fusion")]

    def final_metrics(self) -> Metrics:
        return {"video": {"similarity/head/head": 0.25}}

    def state(self, progress: Progress) -> Progress:
        return replace(progress, history=list(progress.history))


def run(
    trainer: CountingTrainer,
    num_epochs: int = 2,
    resume: Path | None = None,
    max_unsaved: Callable[[], float] | None = None,
    min_unsaved: float = 0.0,
) -> list[EpochReport]:
    reports = train(trainer, num_epochs, resume, max_unsaved, min_unsaved)  # type: ignore[arg-type]
    return list(reports)


def test_each_epoch_is_reported_with_its_metrics_and_history() -> None:
    first, last = run(CountingTrainer())
    assert (first.epoch, first.steps, first.scores) == (1, 0, [])
    assert first.metrics["video"] == {
        "train/loss": pytest.approx(0.1 * (1 + 2 + 3 + 4)),
        "train/top1": 1.0,
        "val/top1": 0.5,
    }
    assert [record.epoch for record in last.history] == [1, 2]
    assert [record.metrics for record in last.history] == [first.metrics, last.metrics]
    assert len(first.history) == 1  # a report keeps its history
    assert first.state == Progress(first.history)


def test_the_last_epoch_is_scored_and_its_metrics_are_added() -> None:
    *_, last = run(CountingTrainer())
    assert {(t.modality, t.split) for t in last.scores} == {
        (member, split) for member in ("video", "fusion") for split in ("val", "test")
    }
    assert last.metrics["video"]["similarity/head/head"] == 0.25
    assert last.metrics["video"]["test/top1"] == last.metrics["fusion"]["test/top1"] == 0.5
    assert "best/val_top1" not in last.metrics["video"]  # `validate` chooses the members' best
    assert last.metrics["fusion"]["best/val_top1"] == 0.5
    assert last.history[-1].metrics == last.metrics


def test_reports_within_an_epoch_hold_its_progress_only() -> None:
    reports = run(CountingTrainer(), max_unsaved=lambda: 0.0)
    points = [(report.epoch, report.steps) for report in reports]
    # After the last step the epoch's own report follows.
    assert points == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0)]
    for report in reports:
        if report.steps:
            assert (report.metrics, report.scores) == ({}, [])
            assert report.state.partial.steps == report.steps
            assert len(report.history) == report.epoch
        else:
            assert report.state.partial is None
    assert reports[1].state.partial.sums == [[pytest.approx(0.3), 2.0, pytest.approx(2e-17)]]


def test_epochs_shorter_than_the_pause_between_reports_share_one() -> None:
    every = run(CountingTrainer(), num_epochs=5)
    (last,) = run(CountingTrainer(), num_epochs=5, min_unsaved=3600.0)
    assert [record.epoch for record in last.history] == [1, 2, 3, 4, 5]
    assert [r.metrics for r in last.history] == [r.metrics for r in every[-1].history]
    assert len(last.scores) == 4


def test_an_epoch_that_ends_when_a_report_is_due_has_one() -> None:
    reports = run(CountingTrainer(), max_unsaved=lambda: 0.0, min_unsaved=3600.0)
    points = [(report.epoch, report.steps) for report in reports]
    assert points == [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3), (2, 0)]


@pytest.mark.parametrize("interrupted", range(7))
def test_training_resumes_from_every_report_to_equal_metrics(interrupted: int) -> None:
    whole = run(CountingTrainer())
    report = run(CountingTrainer(), max_unsaved=lambda: 0.0)[interrupted]
    trainer = CountingTrainer(resumed=report.state)
    resumed = run(trainer, resume=FOLDER)
    assert [r.metrics for r in resumed[-1].history] == [r.metrics for r in whole[-1].history]
    assert trainer.taken == [
        (epoch, step)
        for epoch in (1, 2)
        for step in range(STEPS)
        if (epoch - 1, step) >= (report.epoch, report.steps)
    ]


def test_the_seconds_of_an_epoch_include_those_before_an_interruption() -> None:
    state = run(CountingTrainer(), max_unsaved=lambda: 0.0)[1].state
    partial = replace(state.partial, seconds=1000.0)
    resumed = run(CountingTrainer(replace(state, partial=partial)), resume=FOLDER)
    assert 1000 < resumed[0].history[0].seconds < 1060
    assert resumed[0].seconds < 60 and resumed[1].history[1].seconds < 60


def test_a_checkpoint_of_the_last_epoch_is_only_scored() -> None:
    last = run(CountingTrainer())[-1]
    trainer = CountingTrainer(resumed=last.state)
    (report,) = run(trainer, resume=FOLDER)
    assert trainer.taken == []
    assert (report.epoch, report.metrics, report.history) == (2, last.metrics, last.history)
    assert len(report.scores) == 4


def test_a_step_is_timed_without_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = CountingTrainer()
    durations = iter([100.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    now = [0.0]

    class Clock:
        @staticmethod
        def perf_counter() -> float:
            return now[0]

    def train_step(prepared: tuple[int, int]) -> None:
        trainer.taken.append(prepared)
        now[0] += next(durations)

    monkeypatch.setattr(epochs, "time", Clock)
    monkeypatch.setattr(trainer, "prepare", lambda _, step, batch_n: (step, int(batch_n)))
    monkeypatch.setattr(trainer, "train_step", train_step)
    assert step_seconds(trainer, steps=5) == 4.0  # type: ignore[arg-type]
    # One batch again and again: its shape is compiled once.
    assert trainer.taken == [(step, 10) for step in range(6)]
