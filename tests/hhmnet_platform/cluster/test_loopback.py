"""torch's process group on a Ray of our own."""

import socket

import pytest
import torch
import torch.distributed as dist
from ray.train.torch import TorchConfig

from hhmnet_platform.cluster.loopback import LoopbackConfig, _join, _listen, process_group


def test_a_cluster_has_rays_own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert isinstance(process_group(gpu=False), LoopbackConfig)
    assert process_group(gpu=True).backend == "nccl"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert type(process_group(gpu=False)) is TorchConfig
    assert process_group(gpu=False).backend == "gloo"


def test_store_is_on_loopback_alone() -> None:
    port = _listen()
    _join("gloo", port, 0, 1, 60)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10):
            pass
        # The whole of 127.0.0.0/8 is this machine: a store on all interfaces would answer here.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=10)
        summed = torch.ones(2)
        dist.all_reduce(summed)
        assert summed.tolist() == [1, 1]
    finally:
        dist.destroy_process_group()
