"""torch's process group on the loopback interface only, for runs on one machine.

With Ray's own configuration, the store by which torch's workers find each other is a server without
a password that listens on all interfaces. Here the store gets a socket of the loopback instead.
"""

import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from ray.train.torch import TorchConfig
from ray.train.torch.config import _set_torch_distributed_env_vars, _TorchBackend

from hhmnet_platform.cluster.ray_environment import cluster_address

LOOPBACK = "127.0.0.1"

_listener: socket.socket | None = None  # of the first worker, from `_listen` to `_join`


def torch_config(gpu: bool) -> TorchConfig:
    """Return Ray Train's configuration of NCCL or gloo; on loopback unless a cluster is joined."""
    kind = LoopbackConfig if cluster_address() is None else TorchConfig
    return kind(backend="nccl" if gpu else "gloo")


@dataclass
class LoopbackConfig(TorchConfig):
    """Configuration of a process group whose workers are all on this machine."""

    @property
    def backend_cls(self) -> type[_TorchBackend]:
        return _LoopbackBackend


class _LoopbackBackend(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        import ray

        worker_group.execute(_set_torch_distributed_env_vars)
        port = worker_group.execute_single(0, _listen)
        size = len(worker_group)
        joining = [
            worker_group.execute_single_async(
                rank, _join, backend_config.backend, port, rank, size, backend_config.timeout_s
            )
            for rank in range(size)
        ]
        ray.get(joining)


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
