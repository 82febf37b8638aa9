"""CPUs and GPUs of the machine or of the cluster's nodes."""

import os
import re
from collections import Counter
from dataclasses import dataclass

from hhmnet_core.errors import InputError

Nodes = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Resources:
    """What there is.

    Attributes:
        where: For messages: "this machine", "the cluster at 10.0.0.1:6379".
        nodes: (CPUs, GPUs) of each node.
        at_most: Likewise, of the nodes that the cluster may grow to; empty where it does not grow.
        driver_on_head: Whether this process is where nothing is taken away.
    """

    where: str
    nodes: Nodes
    at_most: Nodes = ()
    driver_on_head: bool = True

    @property
    def cpus(self) -> int:
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> int:
        return sum(gpus for _, gpus in self.nodes)

    @property
    def has_gpus(self) -> bool:
        """Now, or when it has grown."""
        return any(gpus for _, gpus in (*self.nodes, *self.at_most))

    def room(self, cpus_per_worker: int, gpu: bool) -> int:
        """How many workers fit now."""
        return _room(self.nodes, cpus_per_worker, gpu)

    def most_room(self, cpus_per_worker: int, gpu: bool) -> int:
        """How many workers fit when the cluster has grown."""
        return max(_room(nodes, cpus_per_worker, gpu) for nodes in (self.nodes, self.at_most))

    def __str__(self) -> str:
        now = f"{self.where} has {self.cpus} CPUs and {self.gpus} GPUs"
        return f"{now}, and grows to {_listed(self.at_most)}" if self.at_most else now

    def listed(self) -> str:
        """The nodes, equal ones together."""
        now = _listed(self.nodes)
        return f"{now}; up to {_listed(self.at_most)}" if self.at_most else now


def _room(nodes: Nodes, cpus_per_worker: int, gpu: bool) -> int:
    return sum(
        min(cpus // cpus_per_worker, gpus) if gpu else cpus // cpus_per_worker
        for cpus, gpus in nodes
    )


def _listed(nodes: Nodes) -> str:
    counts = sorted(Counter(nodes).items(), key=lambda item: (item[0][1], item[0][0]))
    of_each = [
        f"{number} of {cpus} CPUs" + (f" and {gpus} GPUs" if gpus else "")
        for (cpus, gpus), number in counts
    ]
    return ", ".join(of_each) or "none"


def nodes_to_come() -> Nodes:
    """(CPUs, GPUs) of each node that the cluster grows to, if it is one that grows.

    Ray does not say: the cluster's file does, as HHMNET_NODES=NODES*CPUS:GPUS of each kind of node,
    such as 2*46:4,1*16:0.

    Raises InputError where that cannot be read.
    """
    told = os.environ.get("HHMNET_NODES", "")
    nodes: list[tuple[int, int]] = []
    for kind in filter(None, told.split(",")):
        match = re.fullmatch(r"(\d+)\*(\d+):(\d+)", kind.strip())
        if match is None:
            raise InputError(
                f"HHMNET_NODES={told} cannot be read: expected NODES*CPUS:GPUS of each kind of "
                "node, such as 2*46:4,1*16:0."
            )
        number, cpus, gpus = map(int, match.groups())
        nodes += [(cpus, gpus)] * number
    return tuple(nodes)
