"""The driver: what it shows of messages, and what it counts as a failure."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hhmnet_core.errors import AccessError
from hhmnet_core.notices import PassProgress, StepProgress
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.figures.progress import Display
from hhmnet_platform.runs import driver as driver_module
from hhmnet_platform.runs.config import Placement
from hhmnet_platform.runs.driver import TRACK_SECONDS, Training
from hhmnet_platform.runs.messages import (
    EpochsDone,
    Failed,
    LeavingSoon,
    NodesUsed,
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
    def __init__(self) -> None:
        self.steps: list[StepProgress] = []

    def add_steps(self, progress: StepProgress) -> None:
        self.steps.append(progress)

    def update(self, history: Any) -> None:
        self.history = history

    def add_usage(self, epoch: int, usage: Any) -> None:
        self.usage = (epoch, usage)


class Driver:
    """A driver, and what it shows."""

    def __init__(self, folder: RunFolder, plan: MeshPlan) -> None:
        self.output = io.StringIO()
        display = Display(9, Console(file=self.output, soft_wrap=True, highlight=False))
        placement, run = Placement(max_failures=1, price_per_worker_hour=100.0), Run(folder)
        self.tracker = Tracker()
        self.training = Training(placement, run, plan, display, self.tracker, Startup(0.0))  # type: ignore[arg-type]

    def __call__(self, *messages: Any) -> list[str]:
        """The new lines."""
        before = len(self.output.getvalue())
        for message in messages:
            self.training.receive(message)
        return self.output.getvalue()[before:].splitlines()

    def start(self, workers: int) -> list[str]:
        return self(*(WorkerStarted(r, workers, "host", 10 + r) for r in range(workers)))


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(RunFolder("some", str(tmp_path)), MeshPlan((2, 4), None, False, 1))


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch, 1.0, {"joint": {"train/loss": 1.0, "val/top1": 0.5}})


def test_changes_of_the_number_of_workers_are_shown_and_recorded(driver: Driver) -> None:
    mesh, begun = driver.start(2)
    assert mesh.startswith("2 CPU workers: 1 data-parallel x 2 modality-parallel")
    assert begun == "training on host (worker processes 10, 11)"
    shown = driver(EpochsDone([record(1)]))
    assert shown[-1] == (
        "cost        about 0.50 (2 workers for 0.00 h at 100 per hour each), all epochs"
    )
    (line,) = driver(Resizing(2, 4))
    assert line == "resuming after epoch 1 with 4 workers instead of 2"
    mesh, begun = driver.start(4)
    assert "worker processes 10, 11, 12, 13" in begun
    assert driver.training.run.folder.meshes() == ((0, 0, 1, 2), (1, 0, 1, 4))


def test_workers_that_died_before_all_were_up_do_not_count(driver: Driver) -> None:
    assert driver(WorkerStarted(0, 2, "host", 1)) == []
    assert driver(WorkerStarted(0, 2, "host", 2)) == []
    assert driver(WorkerStarted(1, 2, "host", 3))[-1].endswith("(worker processes 2, 3)")


def test_failure_resumes_from_the_checkpoint_within_an_epoch(driver: Driver) -> None:
    driver.start(2)
    driver(EpochsDone([record(1)]))
    assert driver(SavedWithin(1, 40)) == ["checkpoint within epoch 2, after step 40"]
    assert driver.training.reached == TrainingPoint(1, 40)
    (line,) = driver(Failed("the process of worker 1 died"))
    assert line == (
        "the process of worker 1 died; starting again within epoch 2, after step 40 "
        "(1 of 1 failures allowed)"
    )
    driver.start(2)
    # The history again, with the first report after the start: nothing is shown twice.
    assert driver(EpochsDone([record(1)]), SavedWithin(1, 40)) == []
    assert [one.epoch for one in driver.training.history] == [1]
    (line,) = driver(EpochsDone([record(2)]))
    assert line.startswith("2/9") and driver.training.reached == TrainingPoint(2)


def test_announced_removal_is_no_failure_and_is_shown_once(driver: Driver) -> None:
    driver.start(2)
    assert "with 1 of the workers will be removed in 90 s" in driver(LeavingSoon(1, 90.0))[0]
    driver(SavedWithin(0, 7))
    lines = driver(*[Failed("the process of worker 1 died", announced=True)] * 3)
    assert lines == ["the process of worker 1 died; resuming within epoch 1, after step 7"]
    assert driver.training.failures == 0
    # Ray does not report workers that it ends itself.
    driver.start(2)
    assert "removed soon" in driver(LeavingSoon(1, None))[0]
    assert driver.start(2)[0] == "resuming within epoch 1, after step 7"


def test_use_of_nodes_goes_to_mlflow_alone(driver: Driver) -> None:
    usage = {"host": {"cpu_utilization_percentage": 50.0}}
    assert driver(NodesUsed(2, usage)) == []
    assert driver.tracker.usage == (2, usage)


def test_too_few_nodes_are_shown(driver: Driver) -> None:
    assert "fewer than 2 workers" in driver(TooFewNodes(2))[0]


def test_full_disk_is_told_with_its_space(driver: Driver, tmp_path: Path) -> None:
    full = RuntimeError(f"Upload failed: [Errno 28] No space left on device: '{tmp_path}/a'")
    error = driver.training._as_user_error(full)
    assert isinstance(error, AccessError)
    assert str(error).startswith(f"Cannot write {tmp_path}/a, the disk is full: the disk of ")
    assert not (tmp_path / "error.log").exists()


def test_cause_is_told_where_the_whole_error_cannot_be_kept(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "error.log").mkdir()
    (tmp_path / "error.log" / "file").touch()
    error = driver.training._as_user_error(RuntimeError("some bug"))
    assert isinstance(error, SystemExit)
    assert "RuntimeError: some bug. The whole error could not be kept: Cannot write" in str(error)


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_steps_of_long_epochs_go_to_mlflow_now_and_then(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(driver_module, "time", clock)
    short, long = StepProgress(1, 1, 10, 2.0, 8.0, 5.9), StepProgress(1, 1, 10, 2.0, 8.0, 6.1)
    driver(short, PassProgress("scoring", 1, 2))
    assert driver.tracker.steps == []
    driver(long, long)
    assert driver.tracker.steps == [long]
    clock.now += TRACK_SECONDS
    driver(long)
    assert len(driver.tracker.steps) == 2
