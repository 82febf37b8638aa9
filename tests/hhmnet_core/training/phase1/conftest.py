"""Small configs of phase 1."""

from dataclasses import replace

import pytest

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config


@pytest.fixture(scope="session")
def small() -> Phase1Config:
    """A config that learns in 12 epochs of 3 steps."""
    return Phase1Config(
        data=DataConfig(frames=8),
        model=ModelConfig(widths=[16], heads=2, embedding=8),
        optim=OptimConfig(epochs=12, batch=8, lr=1e-2, warmup=1),
    )


@pytest.fixture(scope="session")
def one_epoch(small: Phase1Config) -> Phase1Config:
    """The small config for a single epoch."""
    return replace(small, optim=replace(small.optim, epochs=1))
