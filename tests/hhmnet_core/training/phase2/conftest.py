"""A small config of phase 2, a store with video, and a finished phase-1 run on it."""

from pathlib import Path

import pytest
import torch
from video_files import write_video_store

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.footage import Footage, load_footage
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder


@pytest.fixture(scope="session")
def small() -> Phase2Config:
    """A config of two epochs of 3 steps, with every source of randomness on."""
    return Phase2Config(
        video=VideoModelConfig(widths=[8, 16], depths=[1, 1], embedding=8),
        augment=VideoAugmentConfig(mirror=0.5),
        optim=OptimConfig(epochs=2, batch=8, lr=3e-3, warmup=1, ema=0.9),
    )


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video_store(tmp_path_factory.mktemp("phase2") / "store")


@pytest.fixture(scope="session")
def clips(store: Path) -> ClipSet:
    return load_clips(store, store.parent / "cache")


@pytest.fixture(scope="session")
def footage(store: Path) -> Footage:
    return load_footage(store, store.parent / "cache")


@pytest.fixture(scope="session")
def phase1(clips: ClipSet, store: Path) -> Path:
    """The last checkpoint of a phase-1 run of two epochs; `epoch1` beside it is the first."""
    config = Phase1Config(
        data=DataConfig(frames=16),
        model=ModelConfig(widths=[16, 32], heads=2, embedding=8),
        optim=OptimConfig(epochs=2, batch=8),
    )
    for report in fit(config, clips, Mesh()):
        report.state.save(store.parent / f"epoch{report.epoch}")
    return store.parent / "epoch2"


@pytest.fixture(scope="session")
def guide(clips: ClipSet, phase1: Path) -> FrozenEncoder:
    return FrozenEncoder.read(phase1, "joint", clips, torch.device("cpu"))
