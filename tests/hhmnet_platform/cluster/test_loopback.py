import socket
from collections.abc import Callable
from typing import Any

import pytest
import ray
import torch
import torch.distributed as dist
from ray.train.torch import TorchConfig

from hhmnet_platform.cluster.loopback import LoopbackConfig, torch_config


def test_cluster_has_rays_own_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert isinstance(torch_config(gpu=False), LoopbackConfig)
    assert torch_config(gpu=True).backend == "nccl"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert type(torch_config(gpu=False)) is TorchConfig
    assert torch_config(gpu=False).backend == "gloo"


class ThisProcess:
    """Stands in for Ray Train's group of one worker, which is this process."""

    def __init__(self) -> None:
        self.port = 0

    def __len__(self) -> int:
        return 1

    def execute(self, function: Callable[..., Any]) -> None:
        """Leave out the environment variables, which Ray Train's context would fill."""

    def execute_single(self, rank: int, function: Callable[..., int], *arguments: Any) -> int:
        self.port = function(*arguments)
        return self.port

    def execute_single_async(
        self, rank: int, function: Callable[..., Any], *arguments: Any
    ) -> object:
        return function(*arguments)


def test_process_group_listens_on_loopback_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "get", list)
    worker, config = ThisProcess(), LoopbackConfig(backend="gloo")
    config.backend_cls().on_start(worker, config)
    try:
        with socket.create_connection(("127.0.0.1", worker.port), timeout=10):
            pass
        # The whole of 127.0.0.0/8 is this machine: a store on all interfaces would answer here.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", worker.port), timeout=10)
        total = torch.ones(2)
        dist.all_reduce(total)
        assert total.tolist() == [1, 1]
    finally:
        dist.destroy_process_group()
