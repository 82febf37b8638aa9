"""Ray for the length of a `with` block: started on this machine, or a cluster that is joined."""

import logging
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line
from hhmnet_platform.cluster.joining import OPEN_CLUSTER, is_open_cluster, join_cluster
from hhmnet_platform.cluster.private_session import private_session, protect_token_file, write_token
from hhmnet_platform.cluster.ray_environment import cluster_address, set_ray_defaults
from hhmnet_platform.cluster.ray_logs import shorten_ray_logs
from hhmnet_platform.cluster.ray_private import HEAD
from hhmnet_platform.cluster.resources import (
    THIS_MACHINE,
    Resources,
    local_resources,
    nodes_when_grown,
)

MIN_OPEN_FILES, OPEN_FILES = 256, 4096  # below the first, Ray's processes fail


@contextmanager
def ray_session(dashboard: bool = False, log_workers: bool = False) -> Iterator[Resources]:
    """Start Ray on this machine, or join the cluster of RAY_ADDRESS, until the end of the block.

    A Ray started here listens on the loopback interface alone, has a token of its own, and keeps
    its files where only this user may enter. A joined cluster that anyone may command is reported.

    Args:
        dashboard: Whether a Ray started here has its dashboard, on loopback, whose address is then
            printed. Ray Train asks it which drivers have died: without one, the workers of a killed
            driver keep their CPUs.
        log_workers: Whether this process prints what the processes on Ray print.

    Raises InputError where no cluster answers or too few files may be open, SystemExit where Ray
    does not start.
    """
    address = cluster_address()
    set_ray_defaults()
    import ray

    shorten_ray_logs()
    protect_token_file()
    allow_open_files()
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with private_session() if address is None else nullcontext() as folder:
        if folder is None:
            join_cluster(str(address), log_workers)
        else:
            _start_ray(dashboard, log_workers, folder)
        _set_sigterm_handler(on_sigterm)  # Ray has replaced ours with its own
        try:
            if is_open_cluster():
                print(OPEN_CLUSTER, flush=True)
            yield _ray_resources(address)
        finally:
            ray.shutdown()
            _set_sigterm_handler(on_sigterm)  # Ray has removed it, and leaves the system's default


def _set_sigterm_handler(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def allow_open_files() -> None:
    """Raise the limit of open files of this process and those it starts, as far as it may be.

    Raises InputError where Ray could not work within it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < MIN_OPEN_FILES:
        raise InputError(
            f"This process may open {wanted} files, Ray needs {MIN_OPEN_FILES} at least: raise the "
            "limit, such as `ulimit -n 4096`."
        )


def _start_ray(dashboard: bool, log_workers: bool, folder: str) -> None:
    import ray

    # It is an actor, a process that takes seconds to start; this machine is not preempted.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    cpus = local_resources().cpus
    try:
        with _own_address():
            context = ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=dashboard,
                object_store_memory=256 << 20,  # only epoch reports pass through it
                log_to_driver=log_workers,
                logging_level=logging.ERROR,
                _temp_dir=folder,
            )
    except Exception as error:  # Ray raises a bare one on a timeout
        reason = one_line(error)[:300]
        raise SystemExit(f"error: Ray could not be started on this machine: {reason}") from error
    if dashboard:
        url, token = context.dashboard_url, write_token(folder)
        print(f"dashboard   http://{url}, behind the token in {token}", flush=True)


def _ray_resources(address: str | None) -> Resources:
    """Return the resources of the Ray that this process is connected to."""
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    own_id = ray.get_runtime_context().get_node_id()
    return Resources(
        THIS_MACHINE if address is None else f"the cluster at {address}",
        tuple(
            (int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
            for node in alive
        ),
        () if address is None else nodes_when_grown(),
        any(node["NodeID"] == own_id and HEAD in node["Resources"] for node in alive),
    )


@contextmanager
def _own_address() -> Iterator[None]:
    """Give the processes of the Ray that is started in the block its address.

    Ray Train asks Ray's state API which drivers have died, and without an address that API takes
    the one Ray of the machine for its own: where there are two it fails, and what dead workers
    have reserved is never released.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    addresses = {"RAY_GCS_SERVER_PORT": str(port), "RAY_API_SERVER_ADDRESS": f"127.0.0.1:{port}"}
    before = {name: os.environ.get(name) for name in addresses}
    os.environ.update(addresses)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
