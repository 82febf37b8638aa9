"""What there is to run on, and how a run is laid out on it."""

import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.mesh import check_modality_parallel

MOST_CPU_WORKERS = len(MODALITIES)
MOST_CPUS_BESIDE_A_GPU = 8


@dataclass(frozen=True)
class Resources:
    """What there is.

    Attributes:
        where: For messages: "this machine", "the cluster at 10.0.0.1:6379".
        nodes: (CPUs, GPUs) of each node.
    """

    where: str
    nodes: tuple[tuple[int, int], ...]

    @property
    def cpus(self) -> int:
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> int:
        return sum(gpus for _, gpus in self.nodes)

    def room(self, cpus_per_worker: int, gpu: bool) -> int:
        """How many workers fit."""
        return sum(
            min(cpus // cpus_per_worker, gpus) if gpu else cpus // cpus_per_worker
            for cpus, gpus in self.nodes
        )

    def __str__(self) -> str:
        return f"{self.where} has {self.cpus} CPUs and {self.gpus} GPUs"


@dataclass(frozen=True)
class Plan:
    """How a run is laid out: W = D x P workers.

    Attributes:
        workers: W.
        modality_parallel: P.
        gpu: Whether each worker has a GPU.
        cpus_per_worker: CPU cores, and torch threads, of a worker.
        networks: That are trained in all: one a modality in phase 1, one in phase 2.
    """

    workers: int
    modality_parallel: int
    gpu: bool
    cpus_per_worker: int
    networks: int = len(MODALITIES)

    @property
    def data_parallel(self) -> int:
        return self.workers // self.modality_parallel

    def __str__(self) -> str:
        hosted = self.networks // self.modality_parallel
        device = "GPU" if self.gpu else "CPU"
        return (
            f"{self.workers} {device} worker{'s' if self.workers > 1 else ''} = "
            f"{self.data_parallel} (data) x {self.modality_parallel} (modality), "
            f"{hosted} network{'s' if hosted > 1 else ''} each, "
            f"{self.cpus_per_worker} CPU{'s' if self.cpus_per_worker > 1 else ''} each"
        )


def make_plan(
    resources: Resources,
    *,
    workers: int | None = None,
    modality_parallel: int | None = None,
    gpu: bool | None = None,
    cpus_per_worker: int | None = None,
    networks: int = len(MODALITIES),
) -> Plan:
    """Fills in what the user left open.

    Args:
        resources: What there is.
        workers: W; by default one a GPU, else one a CPU up to four.
        modality_parallel: P; by default the largest of 4, 2, 1 that divides W.
        gpu: Whether to use GPUs; by default where there are any.
        cpus_per_worker: By default an equal share of each node.
        networks: That are trained in all.

    Raises InputError where the parts do not fit each other, or the cluster.
    """
    if modality_parallel is not None:
        check_modality_parallel(modality_parallel, modality_parallel)
    for name, number in (("workers", workers), ("cpus_per_worker", cpus_per_worker)):
        if number is not None and number < 1:
            raise InputError(f"{name} must be at least 1, but is {number}.")
    if gpu and not resources.gpus:
        raise InputError(f"--gpu true was given, but {resources}.")
    use_gpu = bool(resources.gpus) if gpu is None else gpu
    room = resources.room(cpus_per_worker or 1, use_gpu)
    if workers is None:
        group = modality_parallel or 1
        most = max(room if use_gpu else min(MOST_CPU_WORKERS, room), 1)
        workers = max(most // group, 1) * group
    if modality_parallel is None:
        modality_parallel = next(p for p in (4, 2, 1) if workers % p == 0)
    check_modality_parallel(workers, modality_parallel)
    if workers > room:
        each = f"{cpus_per_worker or 1} CPU" + (" and a GPU" if use_gpu else "")
        raise InputError(
            f"{workers} workers of {each} do not fit: {resources}, room for {room}. "
            "Give fewer --workers."
        )
    if cpus_per_worker is None:
        most = MOST_CPUS_BESIDE_A_GPU if use_gpu else resources.cpus
        cpus_per_worker = next(
            cpus for cpus in range(most, 0, -1) if resources.room(cpus, use_gpu) >= workers
        )
    return Plan(workers, modality_parallel, use_gpu, cpus_per_worker, networks)


def cluster_address() -> str | None:
    """Where RAY_ADDRESS points (`ray job submit` sets it); None for a Ray of our own."""
    address = os.environ.get("RAY_ADDRESS", "")
    if address.startswith("http"):
        raise InputError(
            f"RAY_ADDRESS={address} is a dashboard, which takes jobs: run `ray job submit -- "
            "python ...`, or unset RAY_ADDRESS to run on this machine."
        )
    return address if address not in ("", "local") else None


def nodes_to_come() -> tuple[tuple[int, int], ...]:
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


def this_machine() -> Resources:
    """What a Ray of our own would find here, without starting it."""
    _set_defaults()
    import torch
    from ray._private.utils import get_num_cpus  # what ray.init() itself counts: cgroups too

    cpus = int(get_num_cpus(override_docker_cpu_warning=True))
    return Resources("this machine", ((max(cpus, 1), torch.cuda.device_count()),))


@contextmanager
def ray_session(dashboard: bool = False) -> Iterator[Resources]:
    """Starts Ray on this machine, or joins the cluster of RAY_ADDRESS, until the end of the block.

    What a Ray of our own starts listens on loopback alone: nobody else's machine reaches it.

    Args:
        dashboard: Whether a Ray of our own has its dashboard, on loopback. Ray Train asks it who
            died: without one the workers of a run whose driver was killed keep their cores.

    Raises InputError where no cluster answers.
    """
    address = cluster_address()
    _set_defaults()
    import ray

    if address is None:
        # Each actor is a process of seconds to start: this machine is not preempted.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        here = this_machine()
        try:
            ray.init(
                address="local",
                num_cpus=here.cpus,
                include_dashboard=dashboard,
                object_store_memory=256 << 20,  # only epoch reports pass through it
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:  # Ray raises a bare one where it is not up in 30 seconds
            said = " ".join(str(error).split())[:300]
            raise SystemExit(f"error: Ray could not be started on this machine: {said}") from error
    else:
        try:
            _check_reachable(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"No Ray cluster can be joined at RAY_ADDRESS={address} ({error}): start one with "
                "`ray start --head`, or unset RAY_ADDRESS to run on this machine."
            ) from error
    try:
        nodes = tuple(
            (int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
            for node in ray.nodes()
            if node["Alive"]
        )
        if address is None:
            yield Resources("this machine", nodes)
        elif to_come := nodes_to_come():
            yield Resources(f"the cluster at {address}, grown to its limit,", to_come)
        else:
            yield Resources(f"the cluster at {address}", nodes)
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raises OSError at once where Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _set_defaults() -> None:
    """What Ray reads from the environment when it is imported, unless the user has set it."""
    defaults = {
        "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported home
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # its new behaviour, without the warning
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # how late a finished epoch is seen
        # The display says in one line what Ray says in ten.
        "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed while executing",
    }
    if cluster_address() is None:
        # A Ray that knows no other machines takes the loopback for the address of this one; else
        # its processes listen on all interfaces. The name is of the systems where that is normal.
        defaults["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        defaults |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
