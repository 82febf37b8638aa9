"""CPUs and GPUs of this machine, or of a cluster's nodes."""

import os
import re
from collections import Counter
from dataclasses import dataclass

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.ray_environment import set_ray_defaults

THIS_MACHINE = "this machine"

Nodes = tuple[tuple[int, int], ...]  # (CPUs, GPUs) of each


@dataclass(frozen=True)
class Resources:
    """CPUs and GPUs to run on.

    Attributes:
        name: Name for messages: "this machine" or "the cluster at 10.0.0.1:6379".
        nodes: CPUs and GPUs of each present node.
        nodes_when_grown: CPUs and GPUs of each node that an autoscaling cluster may grow to. Empty
            for a cluster of fixed size.
        is_driver_on_head: True if this process runs on the head node, which is never removed.
    """

    name: str
    nodes: Nodes
    nodes_when_grown: Nodes = ()
    is_driver_on_head: bool = True

    @property
    def is_cluster(self) -> bool:
        return self.name != THIS_MACHINE

    @property
    def cpus(self) -> int:
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> int:
        return sum(gpus for _, gpus in self.nodes)

    @property
    def has_gpus(self) -> bool:
        """Whether a node has GPUs, now or once the cluster has grown."""
        return any(gpus for _, gpus in (*self.nodes, *self.nodes_when_grown))

    def capacity(self, cpus_per_worker: int, gpu: bool) -> int:
        """Return the number of workers that fit now, each on one node and, with `gpu`, on a GPU."""
        return _capacity(self.nodes, cpus_per_worker, gpu)

    def capacity_when_grown(self, cpus_per_worker: int, gpu: bool) -> int:
        """Return the number of workers that fit once the cluster has grown."""
        return max(
            _capacity(nodes, cpus_per_worker, gpu) for nodes in (self.nodes, self.nodes_when_grown)
        )

    def __str__(self) -> str:
        now = f"{self.name} has {self.cpus} CPUs and {self.gpus} GPUs"
        if not self.nodes_when_grown:
            return now
        return f"{now}, and can grow to {_list_nodes(self.nodes_when_grown)}"

    def list_nodes(self) -> str:
        """Return the nodes as text, equal ones counted."""
        now = _list_nodes(self.nodes)
        if not self.nodes_when_grown:
            return now
        return f"{now}; up to {_list_nodes(self.nodes_when_grown)}"


def local_resources() -> Resources:
    """Return the CPUs and GPUs of this machine, which a Ray that is started here gets."""
    set_ray_defaults()
    import joblib
    import torch

    cpus = joblib.cpu_count()  # those that this process may use: affinity and cgroups too
    return Resources(THIS_MACHINE, ((cpus, torch.cuda.device_count()),))


def nodes_when_grown() -> Nodes:
    """Return the CPUs and GPUs of each node that an autoscaling cluster grows to.

    Ray has no interface for them. The cluster's configuration sets HHMNET_NODES to
    NODES*CPUS:GPUS of each kind of node, such as 2*46:4,1*16:0.

    Raises InputError where HHMNET_NODES has another form.
    """
    text = os.environ.get("HHMNET_NODES", "")
    nodes: list[tuple[int, int]] = []
    for kind in filter(None, text.split(",")):
        match = re.fullmatch(r"(\d+)\*(\d+):(\d+)", kind.strip())
        if match is None:
            raise InputError(
                f"HHMNET_NODES={text} cannot be read: expected NODES*CPUS:GPUS of each kind of "
                "node, such as 2*46:4,1*16:0."
            )
        number, cpus, gpus = map(int, match.groups())
        nodes += [(cpus, gpus)] * number
    return tuple(nodes)


def _capacity(nodes: Nodes, cpus_per_worker: int, gpu: bool) -> int:
    return sum(
        min(cpus // cpus_per_worker, gpus) if gpu else cpus // cpus_per_worker
        for cpus, gpus in nodes
    )


def _list_nodes(nodes: Nodes) -> str:
    counts = sorted(Counter(nodes).items(), key=lambda item: (item[0][1], item[0][0]))
    kinds = [
        f"{number} of {cpus} CPUs" + (f" and {gpus} GPUs" if gpus else "")
        for (cpus, gpus), number in counts
    ]
    return ", ".join(kinds) or "none"
