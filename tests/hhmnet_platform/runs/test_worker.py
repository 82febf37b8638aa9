"""The worker's side: reports that are forwarded, failures in one line, checkpoints in time."""

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import ray.train
from ray.exceptions import ActorDiedError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from hhmnet_core.errors import InputError
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.runs.messages import EpochsDone, Failed, LeavingSoon, NodesUsed, SavedWithin
from hhmnet_platform.runs.worker import (
    LEAVING_SECONDS,
    ReportForwarder,
    UnsavedLimit,
    describe_failures,
)

FIRST: dict[str, Any] = {"epoch": 1, "seconds": 1.0, "metrics": {"joint": {"val/top1": 0.5}}}


class Outbox:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def put(self, message: Any) -> None:
        self.messages.append(message)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def forwarder(outbox: Outbox) -> ReportForwarder:
    return ReportForwarder(outbox)  # type: ignore[arg-type]


def test_forwarder_passes_on_rank_zeros_records(forwarder: ReportForwarder, outbox: Outbox) -> None:
    forwarder.after_report(None, [{"records": [FIRST], "epoch": 1, "step": 0}, {}, {}], None)
    assert outbox.messages == [EpochsDone([EpochRecord(**FIRST)])]


def test_forwarder_reports_checkpoints_within_an_epoch(
    forwarder: ReportForwarder, outbox: Outbox
) -> None:
    forwarder.after_report(None, [{"records": [], "epoch": 2, "step": 70}, {}], None)
    assert outbox.messages == [SavedWithin(2, 70)]
    # The first report after a start carries the history.
    forwarder.after_report(None, [{"records": [FIRST], "epoch": 1, "step": 5}, {}], None)
    assert outbox.messages[1:] == [EpochsDone([EpochRecord(**FIRST)]), SavedWithin(1, 5)]


def test_forwarder_joins_the_use_of_all_nodes(forwarder: ReportForwarder, outbox: Outbox) -> None:
    first, second = {"a": {"cpu_utilization_percentage": 50.0}}, {"b": {"gpu_0": 1.0}}
    reports = [{"records": [], "epoch": 1, "step": 4, "usage": first}, {}, {"usage": second}]
    forwarder.after_report(None, reports, None)
    assert outbox.messages == [NodesUsed(1, first | second), SavedWithin(1, 4)]


def test_forwarder_ends_the_run_for_a_mistake_of_the_user(
    forwarder: ReportForwarder, outbox: Outbox
) -> None:
    errors = {0: RuntimeError("Connection closed by peer"), 1: InputError("lower optim.lr")}
    with pytest.raises(InputError, match=r"lower optim\.lr"):
        forwarder.after_exception(None, errors)
    assert outbox.messages == []


def test_forwarder_reports_failures_that_ray_retries(
    forwarder: ReportForwarder, outbox: Outbox
) -> None:
    forwarder.after_exception(None, {1: ActorDiedError()})
    assert outbox.messages == [Failed("the process of worker 1 died")]


def test_forwarder_tells_announced_removals_from_failures(
    forwarder: ReportForwarder, outbox: Outbox
) -> None:
    died = WorkerHealthCheckFailedError("a health check failed", ActorDiedError())
    taken = WorkerHealthCheckFailedError("a health check failed", ActorDiedError())
    taken.health_check_failure._preempted = True
    forwarder.after_exception(None, {0: died})
    forwarder.after_exception(None, {0: RuntimeError("gloo: Connection closed"), 1: taken})
    assert [message.announced for message in outbox.messages] == [False, True]


@dataclass
class Leaving:
    deadline_ms: int | None
    preempted_ranks: tuple[int, ...] = (1, 3)


@pytest.mark.parametrize("minutes", [0.0, 10.0])
def test_limit_is_zero_once_where_the_removal_of_a_node_is_announced(
    minutes: float, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Leaving | None] = [None]
    context = SimpleNamespace(get_world_rank=lambda: 0)
    monkeypatch.setattr(ray.train, "get_preemption_info", lambda: said[-1])
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    task = SimpleNamespace(checkpoint_seconds=60 * minutes, announced=True, outbox=outbox)
    limit = UnsavedLimit(task)  # type: ignore[arg-type]
    assert limit() == (60 * minutes or math.inf)
    said.append(Leaving(deadline_ms=None))
    assert limit() == 0  # at once
    assert [limit(), limit()] == [LEAVING_SECONDS] * 2
    assert outbox.messages == [LeavingSoon(2, None)]


def test_limit_of_a_machine_that_stays_is_the_interval_of_checkpoints(outbox: Outbox) -> None:
    task = SimpleNamespace(checkpoint_seconds=30.0, announced=False, outbox=outbox)
    assert UnsavedLimit(task)() == 30.0  # type: ignore[arg-type]


def test_describe_names_the_cause_before_its_consequences() -> None:
    cause = describe_failures(
        {
            0: RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer"),
            3: ZeroDivisionError("division\nby zero"),
        }
    )
    assert cause == "worker 3: ZeroDivisionError: division by zero"
