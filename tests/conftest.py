"""What all tests share: fixed seeds, one thread per process, and no servers from outside."""

import os
import random
import signal
import sys
from collections.abc import Iterator
from urllib.request import Request, urlopen

import hypothesis
import numpy as np
import processes
import pytest
import torch
from processes import Starter

from hhmnet_core.poses.fetching import fetch_models

# Processes that a test starts inherit these. One thread each: up to four processes share two cores,
# and the order of a sum does not depend on the machine.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
for name in ("HHMNET_NODES", "HHMNET_WORKSPACE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
    os.environ.pop(name, None)

torch.set_num_threads(1)
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that wait for processes: at the end there is nothing beside them."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)


@pytest.fixture(scope="session", autouse=True)
def node_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the memory-mapped copies out of the home folder."""
    os.environ["HHMNET_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def pose_models() -> None:
    """BlazePose's models, fetched as `make poses` does where this machine lacks them."""
    fetch_models()


@pytest.fixture(autouse=True)
def seed() -> int:
    """Seed every global generator, and take back the threads that code under test has set.

    Returns the seed, for a test that makes a generator of its own.
    """
    value = 1
    torch.set_num_threads(1)
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
    return value


@pytest.fixture(scope="session")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starter]:
    """Starts programs and scripts; those that still run at the end are stopped."""
    starter = Starter(tmp_path_factory.mktemp("processes"))
    yield starter
    starter.stop()


@pytest.fixture
def own_signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back the handlers of signals and of the exit that a script in this process installs."""
    monkeypatch.setattr("atexit.register", lambda *_: None)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    unraisable = sys.unraisablehook
    yield
    sys.unraisablehook = unraisable
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    return processes.free_port()


@pytest.fixture
def s3_bucket(free_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URI of an empty bucket, on an S3 server for this test alone."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=free_port, verbose=False)
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    import fsspec
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    # The server keeps its buckets until the process ends.
    urlopen(Request(f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")).close()
    fsspec.filesystem("s3").mkdir("bucket")
    yield "s3://bucket"
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()
