import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import ray.train
from ray.exceptions import ActorDiedError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from hhmnet_core.errors import InputError
from hhmnet_platform.runs.messages import EpochsDone, Failed, LeavingSoon, SavedWithin
from hhmnet_platform.runs.worker import LEAVING_SECONDS, Patience, ReportForwarder, describe


class Outbox:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def put(self, message: Any) -> None:
        self.messages.append(message)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def courier(outbox: Outbox) -> ReportForwarder:
    return ReportForwarder(outbox)  # type: ignore[arg-type]


def test_courier_passes_on_rank_zeros_records(courier: ReportForwarder, outbox: Outbox) -> None:
    records = [{"epoch": 1, "seconds": 1.0, "metrics": {}}]
    courier.after_report(None, [{"records": records, "epoch": 1, "step": 0}, {}, {}], None)
    assert outbox.messages == [EpochsDone(records)]


def test_courier_tells_of_checkpoints_within_an_epoch(
    courier: ReportForwarder, outbox: Outbox
) -> None:
    courier.after_report(None, [{"records": [], "epoch": 2, "step": 70}, {}], None)
    assert outbox.messages == [SavedWithin(2, 70)]
    history = [{"epoch": 1, "seconds": 1.0, "metrics": {}}]  # the first after a start
    courier.after_report(None, [{"records": history, "epoch": 1, "step": 5}, {}], None)
    assert outbox.messages[1:] == [EpochsDone(history), SavedWithin(1, 5)]


def test_courier_ends_the_run_for_what_the_user_gave(
    courier: ReportForwarder, outbox: Outbox
) -> None:
    errors = {0: RuntimeError("Connection closed by peer"), 1: InputError("lower optim.lr")}
    with pytest.raises(InputError, match=r"lower optim\.lr"):
        courier.after_exception(None, errors)
    assert outbox.messages == []


def test_courier_tells_of_failures_that_ray_retries(
    courier: ReportForwarder, outbox: Outbox
) -> None:
    courier.after_exception(None, {1: ActorDiedError()})
    assert outbox.messages == [Failed("the process of worker 1 died")]


def test_courier_tells_what_was_announced_from_failures(
    courier: ReportForwarder, outbox: Outbox
) -> None:
    died = WorkerHealthCheckFailedError("a health check failed", ActorDiedError())
    taken = WorkerHealthCheckFailedError("a health check failed", ActorDiedError())
    taken.health_check_failure._preempted = True
    courier.after_exception(None, {0: died})
    courier.after_exception(None, {0: RuntimeError("gloo: Connection closed"), 1: taken})
    assert [message.announced for message in outbox.messages] == [False, True]


@dataclass
class Leaving:
    deadline_ms: int | None
    preempted_ranks: tuple[int, ...] = (1, 3)


@pytest.mark.parametrize("minutes", [0.0, 10.0])
def test_patience_ends_where_a_node_is_announced_to_leave(
    minutes: float, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Leaving | None] = [None]
    context = SimpleNamespace(get_world_rank=lambda: 0)
    monkeypatch.setattr(ray.train, "get_preemption_info", lambda: said[-1])
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    task = SimpleNamespace(checkpoint_seconds=60 * minutes, announced=True, outbox=outbox)
    patience = Patience(task)  # type: ignore[arg-type]
    assert patience() == (60 * minutes or math.inf)
    said.append(Leaving(deadline_ms=None))
    assert patience() == 0  # at once
    assert [patience(), patience()] == [LEAVING_SECONDS] * 2
    assert outbox.messages == [LeavingSoon(2, None)]


def test_patience_of_a_machine_that_stays_asks_nobody(outbox: Outbox) -> None:
    task = SimpleNamespace(checkpoint_seconds=30.0, announced=False, outbox=outbox)
    assert Patience(task)() == 30.0  # type: ignore[arg-type]


def test_describe_names_the_cause_before_its_consequences() -> None:
    said = describe(
        {
            0: RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer"),
            3: ZeroDivisionError("division\nby zero"),
        }
    )
    assert said == "worker 3: ZeroDivisionError: division by zero"
