"""What the driver makes of messages: what it shows, and what it counts as a failure."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.figures.progress import Display
from hhmnet_platform.runs.config import Placement
from hhmnet_platform.runs.driver import Training
from hhmnet_platform.runs.messages import (
    EpochsDone,
    Failed,
    LeavingSoon,
    Resizing,
    SavedWithin,
    TooFewNodes,
    WorkerStarted,
)
from hhmnet_platform.runs.startup import Startup
from hhmnet_platform.storage.checkpoints import TrainingPoint
from hhmnet_platform.storage.run_folder import RunFolder


class Run:
    config = SimpleNamespace(optim=SimpleNamespace(epochs=9))

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder


class Tracker:
    def update(self, history: Any) -> None:
        self.history = history


class Told:
    """A driver, and what it shows."""

    def __init__(self, folder: RunFolder, plan: MeshPlan) -> None:
        self.output = io.StringIO()
        display = Display(9, Console(file=self.output, soft_wrap=True, highlight=False))
        placement, run = Placement(max_failures=1, price_per_worker_hour=100.0), Run(folder)
        self.training = Training(placement, run, plan, display, Tracker(), Startup(0.0))  # type: ignore[arg-type]

    def __call__(self, *messages: Any) -> list[str]:
        """The new lines."""
        before = len(self.output.getvalue())
        for message in messages:
            self.training._receive(message)
        return self.output.getvalue()[before:].splitlines()

    def start(self, workers: int) -> list[str]:
        return self(*(WorkerStarted(r, workers, "host", 10 + r) for r in range(workers)))


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(RunFolder("some", str(tmp_path)), MeshPlan((2, 4), None, False, 1))


def record(epoch: int) -> dict[str, Any]:
    metrics = {"joint": {"train/loss": 1.0, "val/top1": 0.5}}
    return {"epoch": epoch, "seconds": 1.0, "metrics": metrics}


def test_workers_that_change_in_number_are_shown_and_noted(told: Told) -> None:
    mesh, begun = told.start(2)
    assert mesh.startswith("2 CPU workers: 1 data-parallel x 2 modality-parallel")
    assert begun == "training on host (worker processes 10, 11)"
    shown = told(EpochsDone([record(1)]))
    assert shown[-1] == (
        "cost        about 0.50 (2 workers for 0.00 h at 100 an hour each), all epochs"
    )
    (line,) = told(Resizing(2, 4))
    assert line == "going on after epoch 1 with 4 workers instead of 2"
    mesh, begun = told.start(4)
    assert "worker processes 10, 11, 12, 13" in begun
    assert told.training.run.folder.layouts() == [[0, 0, 1, 2], [1, 0, 1, 4]]


def test_workers_that_died_before_all_were_up_do_not_count(told: Told) -> None:
    assert told(WorkerStarted(0, 2, "host", 1)) == []
    assert told(WorkerStarted(0, 2, "host", 2)) == []
    assert told(WorkerStarted(1, 2, "host", 3))[-1].endswith("(worker processes 2, 3)")


def test_checkpoints_within_an_epoch_are_where_it_goes_on(told: Told) -> None:
    told.start(2)
    told(EpochsDone([record(1)]))
    assert told(SavedWithin(1, 40)) == ["checkpoint within epoch 2, after step 40"]
    assert told.training.reached == TrainingPoint(1, 40)
    (line,) = told(Failed("the process of worker 1 died"))
    assert line == (
        "the process of worker 1 died; starting again within epoch 2, after step 40 "
        "(1 of 1 failures allowed)"
    )
    told.start(2)
    # The history again, with the first report after the start: nothing is shown twice.
    assert told(EpochsDone([record(1)]), SavedWithin(1, 40)) == []
    assert [one["epoch"] for one in told.training.history] == [1]
    (line,) = told(EpochsDone([record(2)]))
    assert line.startswith("2/9") and told.training.reached == TrainingPoint(2)


def test_what_was_announced_is_no_failure_and_told_once(told: Told) -> None:
    told.start(2)
    assert "holds 1 of the workers will be taken away in 90 s" in told(LeavingSoon(1, 90.0))[0]
    told(SavedWithin(0, 7))
    lines = told(*[Failed("the process of worker 1 died", announced=True)] * 3)
    assert lines == ["the process of worker 1 died; going on within epoch 1, after step 7"]
    assert told.training.failures == 0
    # Where Ray ends the workers itself, it says nothing.
    told.start(2)
    assert "taken away soon" in told(LeavingSoon(1, None))[0]
    assert told.start(2)[0] == "going on within epoch 1, after step 7"


def test_too_few_nodes_are_told(told: Told) -> None:
    assert "fewer workers than 2" in told(TooFewNodes(2))[0]
