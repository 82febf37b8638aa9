"""The use of a node: means of samples, by the names of MLflow's system metrics."""

import time
from collections.abc import Callable
from types import SimpleNamespace

import pynvml
import pytest

from hhmnet_platform.runs.node_usage import NodeUsage

CPU = "cpu_utilization_percentage"


def test_usage_is_the_mean_of_the_samples_since_the_last_time(wait: Callable[..., None]) -> None:
    values = iter((10.0, 20.0, 60.0))
    taken: list[float] = []

    def sample() -> dict[str, float]:
        taken.append(next(values))
        if len(taken) == 3:
            usage.end()
        return {CPU: taken[-1]}

    usage = NodeUsage(0.01, sample)
    wait(lambda: len(taken) == 3, "three samples")
    assert usage.take() == {CPU: 30.0}


def test_short_epoch_has_a_sample_of_its_own() -> None:
    usage = NodeUsage(3600, lambda: {CPU: 12.34})
    assert usage.take() == usage.take() == {CPU: 12.3}
    usage.end()


def test_this_machine_is_measured_from_any_thread() -> None:
    usage = NodeUsage(0.2)
    ends = time.monotonic() + 0.7
    while time.monotonic() < ends:  # one CPU is busy
        pass
    used = usage.take()
    usage.end()
    assert 0 < used[CPU] <= 100
    assert 0 < used["system_memory_usage_percentage"] <= 100
    assert used["system_memory_usage_megabytes"] > 100


def test_gpus_are_measured_and_one_that_is_lost_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def memory(handle: int) -> SimpleNamespace:
        if handle == 1:
            raise RuntimeError("the GPU is lost")
        return SimpleNamespace(used=25e6, total=100e6)

    fakes = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda number: number,
        "nvmlDeviceGetMemoryInfo": memory,
        "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=80),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(pynvml, name, fake)
    usage = NodeUsage(3600)
    used = usage.take()
    usage.end()
    assert used["gpu_0_utilization_percentage"] == 80
    assert used["gpu_0_memory_usage_megabytes"] == used["gpu_0_memory_usage_percentage"] == 25
    assert not [name for name in used if name.startswith("gpu_1")]
