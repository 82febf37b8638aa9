"""What every test stands on: fixed seeds, one thread a process, nobody else's servers."""

import os
import random
import socket

import hypothesis
import numpy as np
import pytest
import torch

# Inherited by every process that a test starts. One thread each: up to four share two cores, and
# the order of a sum does not depend on the machine.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
for elsewhere in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
    os.environ.pop(elsewhere, None)

torch.set_num_threads(1)
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def seed() -> int:
    """Seeds every global generator; the value, for a test that needs one of its own."""
    value = 1
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
    return value


@pytest.fixture
def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
