"""What there is to run on."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.resources import Resources, nodes_to_come

HEAD = "node:__internal_head__"  # the resource by which Ray marks the head node


def cluster_address() -> str | None:
    """Where RAY_ADDRESS points (`ray job submit` sets it); None for a Ray of our own."""
    address = os.environ.get("RAY_ADDRESS", "")
    if address.startswith("http"):
        raise InputError(
            f"RAY_ADDRESS={address} is a dashboard, which takes jobs: run `ray job submit -- "
            "python ...`, or unset RAY_ADDRESS to run on this machine."
        )
    return address if address not in ("", "local") else None


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

    on_sigterm = signal.getsignal(signal.SIGTERM)
    if address is None:
        # Each actor is a process of seconds to start: this machine is not preempted.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        here = this_machine()
        try:
            with _told_its_address():
                ray.init(
                    address="local",
                    num_cpus=here.cpus,
                    include_dashboard=dashboard,
                    object_store_memory=256 << 20,  # only epoch reports pass through it
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except Exception as error:  # Ray raises a bare one where it is not up in time
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
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray has put its own in the place of ours
    try:
        where = "this machine" if address is None else f"the cluster at {address}"
        alive = [node for node in ray.nodes() if node["Alive"]]
        node_id = ray.get_runtime_context().get_node_id()
        yield Resources(
            where,
            tuple(_cores(node["Resources"]) for node in alive),
            () if address is None else nodes_to_come(),
            any(node["NodeID"] == node_id and HEAD in node["Resources"] for node in alive),
        )
    finally:
        ray.shutdown()


@contextmanager
def _told_its_address() -> Iterator[None]:
    """Tells the processes of the Ray that is started inside which Ray is theirs.

    Ray Train asks Ray's state API who died, and that takes the one Ray of the machine for its own:
    where there are two it fails, and what dead workers had reserved is never given back.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {"RAY_GCS_SERVER_PORT": str(port), "RAY_API_SERVER_ADDRESS": f"127.0.0.1:{port}"}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _cores(resources: Mapping[str, float]) -> tuple[int, int]:
    """(CPUs, GPUs) of what Ray says of a node."""
    return int(resources.get("CPU", 0)), int(resources.get("GPU", 0))


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
        # The display says in one line what Ray says in ten, and of a lost node in fifty.
        "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed while executing"
        r"|Raylet is terminated|has been marked dead|raylet has lagging heartbeats|^ +\[\d{4}-",
    }
    if cluster_address() is None:
        # A Ray that knows no other machines takes the loopback for the address of this one; else
        # its processes listen on all interfaces. The name is of the systems where that is normal.
        defaults["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        defaults |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
