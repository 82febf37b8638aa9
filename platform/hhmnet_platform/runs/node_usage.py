"""How much of a node's CPUs, memory and GPUs a run uses, by the names of MLflow's system metrics.

MLflow's own monitor writes to the server from every node, and gives up where that fails. Here a
thread of one worker per node samples, and the means travel to the driver with the reports.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from statistics import fmean
from typing import Any

import psutil
import pynvml

SAMPLE_SECONDS = 10.0  # as MLflow's monitor
Usage = dict[str, float]  # by metric


class NodeUsage:
    """Samples this node from a thread, until `end`.

    Args:
        seconds: Seconds between two samples.
        sample: Function that returns the present usage.
    """

    def __init__(
        self, seconds: float = SAMPLE_SECONDS, sample: "Callable[[], Usage] | None" = None
    ) -> None:
        self._sample = sample or _sampler()
        self._lock = threading.Lock()
        self._values: defaultdict[str, list[float]] = defaultdict(list)
        self._seconds = seconds
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="node usage", daemon=True).start()

    def take(self) -> Usage:
        """Return the mean of the samples since the last call; of one taken now without any."""
        with self._lock:
            if not self._values:
                self._add()
            means = {name: round(fmean(values), 1) for name, values in self._values.items()}
            self._values.clear()
        return means

    def end(self) -> None:
        """Take no more samples."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            with self._lock:
                self._add()

    def _add(self) -> None:
        for name, value in self._sample().items():
            self._values[name].append(value)


def _sampler() -> Callable[[], Usage]:
    """Return a function that returns the usage of this node's CPUs and memory, and of its GPUs."""
    gpus = _gpus()
    # Not psutil.cpu_percent: it compares with the last call of the same thread.
    before = _busy_and_all()

    def sample() -> Usage:
        nonlocal before
        now, memory = _busy_and_all(), psutil.virtual_memory()
        (busy, total), before = (now[0] - before[0], now[1] - before[1]), now
        usage = {
            "cpu_utilization_percentage": 100 * busy / total if total > 0 else 0.0,
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": 100 * memory.used / memory.total,
        }
        for number, read in enumerate(gpus):
            with suppress(Exception):  # a GPU that is lost; training reports that itself
                usage |= {f"gpu_{number}_{name}": value for name, value in read().items()}
        return usage

    return sample


def _busy_and_all() -> tuple[float, float]:
    """Return the seconds that the CPUs of this node have worked, and all their seconds."""
    times = psutil.cpu_times()
    total = sum(times) - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0)  # in user
    return total - times.idle - getattr(times, "iowait", 0), total


def _gpus() -> list[Callable[[], Usage]]:
    """Return a function for each GPU of this node that returns its usage."""
    try:
        pynvml.nvmlInit()
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(number)
            for number in range(pynvml.nvmlDeviceGetCount())
        ]
    except pynvml.NVMLError:  # no driver of NVIDIA's
        return []

    def reader(handle: Any) -> Callable[[], Usage]:
        def read() -> Usage:
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            return {
                "utilization_percentage": pynvml.nvmlDeviceGetUtilizationRates(handle).gpu,
                "memory_usage_megabytes": memory.used / 1e6,
                "memory_usage_percentage": 100 * memory.used / memory.total,
            }

        return read

    return [reader(handle) for handle in handles]
