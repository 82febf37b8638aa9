"""When a report is due, by a clock that the test sets."""

import itertools
from collections.abc import Callable

import pytest

from hhmnet_core.training import pace
from hhmnet_core.training.mesh import Mesh


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


class Others(Mesh):
    """This process among others, whose answers the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.theirs: Callable[[list[float]], list[float]] = lambda values: values
        self.compared = 0

    def maximum(self, values: list[float]) -> list[float]:
        self.compared += 1
        return [max(pair) for pair in zip(values, self.theirs(values), strict=True)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def due(
    clock: Clock, mesh: Mesh, max_unsaved: Callable[[], float], steps: int, each: float
) -> list:
    """The steps, from 1, after which a report was due."""
    counted, found = pace.Pace(mesh, max_unsaved), []
    for step in range(1, steps + 1):
        clock.now += each
        if counted.is_due():
            found.append(step)
            counted.restart()
    return found


def test_reports_are_due_by_time_and_compared_seldom(clock: Clock) -> None:
    mesh = Others()
    found = due(clock, mesh, lambda: 60.0, steps=10_000, each=0.05)
    assert len(found) == 8  # of 500 s
    gaps = [0.05 * (b - a) for a, b in itertools.pairwise(found)]
    assert all(60.0 <= gap < 61.0 for gap in gaps)
    assert mesh.compared < 200  # of 10,000 steps


def test_one_step_longer_than_may_go_unsaved_is_reported_at_once(clock: Clock) -> None:
    assert due(clock, Others(), lambda: 1.0, steps=4, each=7.0) == [1, 2, 3, 4]


def test_without_a_limit_nothing_is_due_or_compared(clock: Clock) -> None:
    mesh = Others()
    counted = pace.Pace(mesh, None)
    for _ in range(50):
        clock.now += 1000
        assert not counted.is_due()
    assert mesh.compared == 0


def test_the_least_patient_process_decides_for_all(clock: Clock) -> None:
    mesh = Others()
    # Another process: its limit is 10 seconds, this one has none.
    mesh.theirs = lambda values: [values[0], clock.now - start - 10.0, -10.0]
    start = clock.now
    assert due(clock, mesh, lambda: float("inf"), steps=30, each=0.5)[0] == 20


def test_limit_that_ends_is_noticed_within_seconds(clock: Clock) -> None:
    """As where the removal of a node is announced."""
    start = clock.now
    found = due(
        clock, Others(), lambda: 600.0 if clock.now < start + 90 else 15.0, steps=1200, each=0.1
    )
    assert 90 <= 0.1 * found[0] <= 95.1


def test_epochs_are_measured_one_by_one_and_reports_over_several(clock: Clock) -> None:
    counted = pace.Pace(Others(), None)
    clock.now += 2
    counted.begin_epoch()
    clock.now += 3
    assert (counted.epoch_seconds, counted.seconds) == (3, 5)
    counted.restart()
    clock.now += 1
    assert (counted.epoch_seconds, counted.seconds) == (1, 1)


def test_time_has_passed_for_all_processes_when_it_has_for_one(clock: Clock) -> None:
    mesh = Others()
    counted = pace.Pace(mesh, None)
    assert counted.has_passed(0.0) and mesh.compared == 0
    clock.now += 4
    assert not counted.has_passed(5.0)
    mesh.theirs = lambda values: [values[0] + 2]
    assert counted.has_passed(5.0)
