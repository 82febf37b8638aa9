"""The policy in Ray's controller, without Ray: when it resizes, and to what."""

import socket
from dataclasses import dataclass, field
from typing import Any

import pytest
from ray.train.v2._internal.execution.scaling_policy import NoopDecision, ResizeDecision
from ray.train.v2.api import data_parallel_trainer
from ray.train.v2.api.config import ScalingConfig

from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs import elastic
from hhmnet_platform.runs.elastic import AtCheckpoints, ElasticTrainer
from hhmnet_platform.runs.messages import Resizing, TooFewNodes

EPOCHS = 5


class Outbox(list[Any]):
    put = list.append


@dataclass
class Report:
    epoch: int

    @property
    def metrics(self) -> dict[str, int]:
        return {"epoch": self.epoch}


@dataclass
class Status:
    training_report: Report | None = None


@dataclass
class Poll:
    worker_statuses: dict[int, Status]


@dataclass
class Group:
    num_workers: int
    start_time: float = 0.0


@dataclass
class There:
    """The cluster, as CPUs by node."""

    nodes: dict[str, float] = field(default_factory=dict)


@pytest.fixture
def there() -> There:
    return There({"a": 2.0})


@pytest.fixture
def policy(there: There, monkeypatch: pytest.MonkeyPatch) -> AtCheckpoints:
    config = ScalingConfig(
        num_workers=(2, 8), resources_per_worker={"CPU": 1}, elastic_resize_monitor_interval_s=0
    )
    policy = AtCheckpoints(config, MeshPlan((2, 4, 8), None, False, 1), EPOCHS, Outbox())
    monkeypatch.setattr(policy, "_maybe_send_resource_request", lambda: None)
    monkeypatch.setattr(
        policy, "_get_reserved_resources", lambda: {n: {"CPU": c} for n, c in there.nodes.items()}
    )
    monkeypatch.setattr(elastic, "LOOK_SECONDS", 0.0)
    return policy


def poll(*epochs: int | None) -> Any:
    """What the workers say; None for one that reports nothing just now."""
    said = [Status(None if epoch is None else Report(epoch)) for epoch in epochs]
    return Poll(dict(enumerate(said)))


def decide(policy: AtCheckpoints, group: Group, *epochs: int | None) -> int | None:
    """The new number of workers; None for no change."""
    decision = policy.make_decision_for_running_worker_group(group, poll(*epochs))  # type: ignore[arg-type]
    return decision.num_workers if isinstance(decision, ResizeDecision) else None


def test_it_resizes_when_all_workers_have_reported_and_not_before(
    policy: AtCheckpoints, there: There
) -> None:
    group = Group(2)
    assert decide(policy, group, 1, 1) is None  # nothing has changed
    there.nodes["b"] = 2.0
    assert decide(policy, group, None, None) is None
    assert decide(policy, group, 2, None) is None
    assert decide(policy, group, None, None) is None
    assert decide(policy, group, None, 2) == 4
    assert policy.outbox == [Resizing(2, 4)]


def test_reports_of_an_earlier_group_do_not_count(policy: AtCheckpoints, there: There) -> None:
    assert decide(policy, Group(2), 1, None) is None
    there.nodes["b"] = 2.0
    again = Group(2, start_time=50.0)
    assert decide(policy, again, None, 1) is None
    assert decide(policy, again, 1, None) == 4


def test_it_takes_only_what_the_mesh_can_be_made_of(policy: AtCheckpoints, there: There) -> None:
    there.nodes = {"a": 2.0, "b": 3.0}
    assert decide(policy, Group(2), 1, 1) == 4  # not 5
    there.nodes = {"a": 2.0, "b": 1.0}
    decision = policy.make_decision_for_non_running_worker_group()
    assert isinstance(decision, ResizeDecision) and decision.num_workers == 2


def test_after_the_last_epoch_nothing_is_changed(policy: AtCheckpoints, there: There) -> None:
    there.nodes["b"] = 2.0
    assert decide(policy, Group(2), EPOCHS, EPOCHS) is None


def test_too_few_nodes_are_told_once(policy: AtCheckpoints, there: There) -> None:
    there.nodes = {"a": 1.0}
    for _ in range(3):
        decision = policy.make_decision_for_non_running_worker_group()
        assert isinstance(decision, NoopDecision)
    there.nodes = {"a": 2.0}
    assert isinstance(policy.make_decision_for_non_running_worker_group(), ResizeDecision)
    there.nodes = {}
    policy.make_decision_for_non_running_worker_group()
    assert policy.outbox == [TooFewNodes(2), TooFewNodes(2)]


def test_a_cluster_that_could_not_be_asked_is_asked_again(
    policy: AtCheckpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "_get_reserved_resources", lambda: None)
    assert isinstance(policy.make_decision_for_non_running_worker_group(), NoopDecision)
    assert policy.outbox == []


def test_a_node_that_takes_no_connections_is_no_place_for_workers() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        place = {"NodeManagerAddress": "127.0.0.1", "NodeManagerPort": listener.getsockname()[1]}
        assert not elastic.answers(place)
        listener.listen()
        assert elastic.answers(place)


def test_ray_hands_the_policy_on_where_the_trainer_replaces_it(
    monkeypatch: pytest.MonkeyPatch, policy: AtCheckpoints
) -> None:
    """`fit` gives its controller `scaling_policy` through a method that can be overridden."""
    handed: dict[str, Any] = {}

    def run(self: Any, **given: Any) -> Any:
        handed.update(given)
        return type("Result", (), {"error": None})()

    base = data_parallel_trainer.DataParallelTrainer
    monkeypatch.setattr(base, "_initialize_and_run_controller", run)
    monkeypatch.setattr(data_parallel_trainer, "ObjectRefWrapper", lambda function: function)
    scaling = ScalingConfig(num_workers=(2, 8))
    trainer = ElasticTrainer(policy, lambda: None, scaling_config=scaling)
    trainer.fit()
    assert handed["scaling_policy"] is policy
