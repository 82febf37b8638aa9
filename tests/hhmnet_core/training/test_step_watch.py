"""Notices of steps, by a clock that the test sets."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from hhmnet_core.notices import StepProgress, listening
from hhmnet_core.training import step_watch
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.step_watch import StepWatch


class Clock:
    now = 100.0

    def perf_counter(self) -> float:
        return self.now


class Half(Mesh):
    """The first of two processes that share the data."""

    def __init__(self) -> None:
        super().__init__()
        self.data = 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(step_watch, "time", clock)
    return clock


def watch(sent: list[Any], mesh: Mesh) -> StepWatch:
    with listening(sent.append):
        return StepWatch(mesh)


def sums(*losses: float) -> torch.Tensor:
    return torch.tensor([[loss, 1.0, 0.0] for loss in losses], dtype=torch.float64)


def test_notice_has_the_mean_loss_and_the_speed_since_the_last(clock: Clock) -> None:
    sent: list[Any] = []
    steps = watch(sent, Half())
    steps.begin(2, 10, 20)
    for loss in (2.0, 4.0, 6.0, 8.0):
        clock.now += 1.0
        steps.step(sums(loss, 3 * loss), 4)  # two networks, two of the four clips
    assert sent == [
        # (2 + 4) / 4 and three times that, of two networks
        StepProgress(2, 12, 20, 3.0, 4.0, 1.0),
        StepProgress(2, 14, 20, 7.0, 4.0, 1.0),
    ]


def test_epoch_shorter_than_the_interval_sends_nothing(clock: Clock) -> None:
    sent: list[Any] = []
    steps = watch(sent, Mesh())
    for epoch in range(1, 9):
        steps.begin(epoch, 0, 3)
        for _ in range(3):
            clock.now += 0.6
            steps.step(sums(1.0), 4)
    assert sent == []


class LateEvent:
    """An event of a device that has completed the work at the third query."""

    def __init__(self) -> None:
        self.queries = 0

    def query(self) -> bool:
        self.queries += 1
        return self.queries > 2


def test_notice_is_sent_once_the_device_has_completed_the_step(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    steps = watch(sent, Mesh())
    measure = steps._measure
    monkeypatch.setattr(steps, "_measure", lambda now: replace(measure(now), copied=LateEvent()))
    steps.begin(1, 0, 9)
    shown = []
    for _ in range(4):
        clock.now += 2.0
        steps.step(sums(1.0), 1)
        shown.append([notice.step for notice in sent])
    assert shown == [[], [], [1], [1]]  # nothing is measured while a loss is on its way
