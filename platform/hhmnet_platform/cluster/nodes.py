"""The nodes of the joined Ray cluster, and tasks that run once on each node."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line

PATIENCE_SECONDS = 180.0  # a node starts a process for its first task
Answer = TypeVar("Answer")


class Nodes:
    """The nodes that take work, and the driver's own.

    Attributes:
        names: Names for messages, by node id.
        driver: Name of the driver's node.
    """

    def __init__(self) -> None:
        own_id = ray.get_runtime_context().get_node_id()
        self.names: dict[str, str] = {}
        for node in ray.nodes():
            resources = node["Resources"]
            takes_work = resources.get("CPU") or resources.get("GPU")
            if node["Alive"] and (takes_work or node["NodeID"] == own_id):
                name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
                if name in self.names.values():  # two nodes on one machine
                    name += f" {node['NodeID'][:8]}"
                self.names[node["NodeID"]] = name
        self.driver = self.names[own_id]

    def ask(self, task: Callable[..., Answer], *arguments: Any) -> dict[str, Answer]:
        """Run a task on each node, and return the results by the nodes' names.

        Raises InputError, naming the node, where one gives no result.
        """
        remote = ray.remote(num_cpus=0)(task)
        running = {}
        for node_id, name in self.names.items():
            on_node = NodeAffinitySchedulingStrategy(node_id, soft=False)
            running[name] = remote.options(scheduling_strategy=on_node).remote(*arguments)
        deadline = time.monotonic() + PATIENCE_SECONDS
        return {name: _result(name, result, deadline) for name, result in running.items()}


def _result(node: str, result: Any, deadline: float) -> Any:
    try:
        return ray.get(result, timeout=max(0.0, deadline - time.monotonic()))
    except GetTimeoutError:
        raise InputError(
            f"Node {node} has not answered for {PATIENCE_SECONDS:.0f} s: check whether it is "
            "overloaded, or take it out of the cluster."
        ) from None
    except RayError as error:
        reason = one_line(error)[-300:].rstrip(".")
        raise InputError(
            f"Node {node} cannot run a task of Ray ({reason}): see `df` there first, a full "
            "disk does this, then its logs in /tmp/ray/session_latest/logs."
        ) from error
