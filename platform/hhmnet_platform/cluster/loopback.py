"""torch's process group on the loopback interface only, for runs on one machine.

With Ray's own configuration, the store by which torch's workers find each other is a server without
a password that listens on all interfaces. Here the store gets a socket of the loopback instead.
"""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ray
import torch.distributed as dist
from ray.exceptions import GetTimeoutError
from ray.train.backend import Backend
from ray.train.torch import TorchConfig, get_device

from hhmnet_platform.cluster.ray_environment import cluster_address

LOOPBACK = "127.0.0.1"
LEAVING_SECONDS = 30.0  # for workers to end their process group

_listener: socket.socket | None = None  # of the first worker, from `_listen` to `_join`


def torch_config(gpu: bool) -> TorchConfig:
    """Return Ray Train's configuration of NCCL or gloo; on loopback unless a cluster is joined."""
    kind = LoopbackConfig if cluster_address() is None else TorchConfig
    return kind(backend="nccl" if gpu else "gloo")


@dataclass
class LoopbackConfig(TorchConfig):
    """Configuration of a process group whose workers are all on this machine."""

    @property
    def backend_cls(self) -> type[Backend]:
        return _LoopbackBackend


class _LoopbackBackend(Backend):
    share_cuda_visible_devices = True  # as Ray's own for torch

    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        worker_group.execute(_set_environment)
        port = worker_group.execute_single(0, _listen)
        size = len(worker_group)
        joining = [
            worker_group.execute_single_async(
                rank, _join, backend_config.backend, port, rank, size, backend_config.timeout_s
            )
            for rank in range(size)
        ]
        ray.get(joining)

    def on_shutdown(self, worker_group: Any, backend_config: Any) -> None:
        with suppress(GetTimeoutError):
            ray.get(worker_group.execute_async(_leave), timeout=LEAVING_SECONDS)


def _set_environment() -> None:
    """Set the variables that torch's programs expect in a worker, as torchrun does."""
    context = ray.train.get_context()
    os.environ |= {
        "LOCAL_RANK": str(context.get_local_rank()),
        "LOCAL_WORLD_SIZE": str(context.get_local_world_size()),
        "NODE_RANK": str(context.get_node_rank()),
        "RANK": str(context.get_world_rank()),
        "WORLD_SIZE": str(context.get_world_size()),
        "ACCELERATE_TORCH_DEVICE": str(get_device()),
    }


def _listen() -> int:
    """Listen on a free port of the loopback, and return its number."""
    global _listener
    _listener = socket.socket()
    _listener.bind((LOOPBACK, 0))
    _listener.listen()
    port: int = _listener.getsockname()[1]
    return port


def _join(backend: str, port: int, rank: int, size: int, timeout_seconds: int) -> None:
    """Join the process group; the worker that listens hands its socket to the store."""
    global _listener
    descriptor = _listener.detach() if _listener else None
    _listener = None
    timeout = timedelta(seconds=timeout_seconds)
    store = dist.TCPStore(  # type: ignore[attr-defined]
        LOOPBACK, port, size, rank == 0, timeout, multi_tenant=True, master_listen_fd=descriptor
    )
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)


def _leave() -> None:
    """End the process group of a worker that has joined one."""
    if dist.is_initialized():
        dist.destroy_process_group()
