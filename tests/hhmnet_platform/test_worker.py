from typing import Any

import pytest
from ray.exceptions import ActorDiedError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

from hhmnet_core.errors import InputError
from hhmnet_platform.messages import EpochsDone, Failed, SavedWithin
from hhmnet_platform.worker import Courier, describe


class Outbox:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    def put(self, message: Any) -> None:
        self.messages.append(message)


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def courier(outbox: Outbox) -> Courier:
    return Courier(outbox)  # type: ignore[arg-type]


def test_courier_passes_on_rank_zeros_records(courier: Courier, outbox: Outbox) -> None:
    records = [{"epoch": 1, "seconds": 1.0, "metrics": {}}]
    courier.after_report(None, [{"records": records, "epoch": 1, "step": 0}, {}, {}], None)
    assert outbox.messages == [EpochsDone(records)]


def test_courier_tells_of_checkpoints_within_an_epoch(courier: Courier, outbox: Outbox) -> None:
    courier.after_report(None, [{"records": [], "epoch": 2, "step": 70}, {}], None)
    assert outbox.messages == [SavedWithin(2, 70)]
    history = [{"epoch": 1, "seconds": 1.0, "metrics": {}}]  # the first after a start
    courier.after_report(None, [{"records": history, "epoch": 1, "step": 5}, {}], None)
    assert outbox.messages[1:] == [EpochsDone(history), SavedWithin(1, 5)]


def test_courier_ends_the_run_for_what_the_user_gave(courier: Courier, outbox: Outbox) -> None:
    errors = {0: RuntimeError("Connection closed by peer"), 1: InputError("lower optim.lr")}
    with pytest.raises(InputError, match=r"lower optim\.lr"):
        courier.after_exception(None, errors)
    assert outbox.messages == []


def test_courier_tells_of_failures_that_ray_retries(courier: Courier, outbox: Outbox) -> None:
    courier.after_exception(None, {1: ActorDiedError()})
    assert outbox.messages == [Failed("the process of worker 1 died")]


def test_courier_tells_what_was_announced_from_failures(courier: Courier, outbox: Outbox) -> None:
    died = WorkerHealthCheckFailedError("a health check failed", ActorDiedError())
    taken = WorkerHealthCheckFailedError("a health check failed", ActorDiedError())
    taken.health_check_failure._preempted = True
    courier.after_exception(None, {0: died})
    courier.after_exception(None, {0: RuntimeError("gloo: Connection closed"), 1: taken})
    assert [message.announced for message in outbox.messages] == [False, True]


def test_describe_names_the_cause_before_its_consequences() -> None:
    said = describe(
        {
            0: RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer"),
            3: ZeroDivisionError("division\nby zero"),
        }
    )
    assert said == "worker 3: ZeroDivisionError: division by zero"
