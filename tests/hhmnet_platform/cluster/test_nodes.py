from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.nodes import Nodes


def node(number: int, host: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {
        "NodeID": f"{number:056x}",
        "NodeManagerHostname": host,
        "NodeManagerAddress": f"10.0.0.{number}",
        "Alive": alive,
        "Resources": resources,
    }


class FakeTask:
    """Stands in for a remote function: runs at `ray.get`, on the node that it was sent to."""

    def __init__(self, function: Callable[..., Any], node_id: str = "") -> None:
        self.function, self.node_id = function, node_id

    def options(self, scheduling_strategy: NodeAffinitySchedulingStrategy) -> "FakeTask":
        return FakeTask(self.function, scheduling_strategy.node_id)

    def remote(self, *arguments: Any) -> Callable[[], Any]:
        return lambda: self.function(self.node_id, *arguments)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return the nodes of a Ray, which a test fills; this process is on the first."""
    nodes: list[dict[str, Any]] = []
    context = SimpleNamespace(get_node_id=lambda: nodes[0]["NodeID"])
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(ray, "remote", lambda **_: FakeTask)
    monkeypatch.setattr(ray, "get", lambda task, timeout: task())
    return nodes


def test_nodes_that_take_work_and_the_drivers_own_are_named(cluster: list[dict[str, Any]]) -> None:
    cluster += [
        node(1, "head"),
        node(2, "worker", CPU=4.0),
        node(3, "gpu", GPU=1.0),
        node(4, "gone", alive=False, CPU=4.0),
        node(5, "proxy"),
    ]
    nodes = Nodes()
    assert nodes.driver == "head (10.0.0.1)"
    assert list(nodes.names.values()) == ["head (10.0.0.1)", "worker (10.0.0.2)", "gpu (10.0.0.3)"]


def test_two_nodes_on_one_machine_are_told_apart(cluster: list[dict[str, Any]]) -> None:
    second = node(1, "one", CPU=2.0) | {"NodeID": "abcdef0123"}
    cluster += [node(1, "one", CPU=2.0), second]
    assert list(Nodes().names.values()) == ["one (10.0.0.1)", "one (10.0.0.1) abcdef01"]


def test_task_runs_on_each_node(cluster: list[dict[str, Any]]) -> None:
    cluster += [node(1, "head", CPU=1.0), node(2, "worker", CPU=1.0)]
    assert Nodes().ask(lambda node_id, n: int(node_id, 16) * n, 10) == {
        "head (10.0.0.1)": 10,
        "worker (10.0.0.2)": 20,
    }


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GetTimeoutError("late"), r"^Node worker \(10\.0\.0\.2\) has not answered for 180 s"),
        (
            RayError("no space left\n on device."),
            r"^Node worker \(10\.0\.0\.2\) cannot run a task of Ray \(no space left on device\): "
            "see `df` there first, a full disk does this",
        ),
    ],
)
def test_node_that_gives_no_answer_is_named(
    cluster: list[dict[str, Any]], error: Exception, message: str
) -> None:
    cluster += [node(1, "head", CPU=1.0), node(2, "worker", CPU=1.0)]

    def fail_on_worker(node_id: str) -> None:
        if int(node_id, 16) == 2:
            raise error

    with pytest.raises(InputError, match=message) as raised:
        Nodes().ask(fail_on_worker)
    assert "\n" not in str(raised.value)
