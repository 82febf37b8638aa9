"""Finished trainings of both phases, and the models that they make."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from video_files import write_video_store

from hhmnet_core.deploy.description import SCHEMA_VERSION, ModelDescription
from hhmnet_core.deploy.folders import model_content, write_model
from hhmnet_core.deploy.packing import Packed, pack_encoders, pack_video
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.footage import Footage, load_footage
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1 import fitting as phase1
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2 import fitting as phase2
from hhmnet_core.training.phase2.config import Phase2Config

Tables = dict[str, ScoreTable]  # of test, by member
WriteModel = Callable[..., str]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deploy")


@pytest.fixture(scope="session")
def store(folder: Path) -> Path:
    return write_video_store(folder / "store")


@pytest.fixture(scope="session")
def clips(store: Path, folder: Path) -> ClipSet:
    return load_clips(store, folder / "cache")


@pytest.fixture(scope="session")
def footage(store: Path, folder: Path) -> Footage:
    return load_footage(store, folder / "cache")


@pytest.fixture(scope="session")
def phase1_tables(clips: ClipSet, folder: Path) -> Tables:
    """Score tables of a run whose checkpoint is in `phase1`."""
    config = Phase1Config(
        data=DataConfig(frames=16, normalise_size=True),
        model=ModelConfig(widths=[16, 32], heads=2, embedding=8),
        optim=OptimConfig(epochs=2, batch=8),
    )
    for report in phase1.fit(config, clips, Mesh()):
        report.state.save(folder / "phase1")
    return {table.modality: table for table in report.scores if table.split == "test"}


@pytest.fixture(scope="session")
def phase2_tables(clips: ClipSet, footage: Footage, phase1_tables: Tables, folder: Path) -> Tables:
    """Score tables of a run whose checkpoint is in `phase2`."""
    config = Phase2Config(
        video=VideoModelConfig(widths=[8, 16], depths=[1, 1], embedding=8),
        optim=OptimConfig(epochs=2, batch=8, lr=3e-3, warmup=1),
    )
    for report in phase2.fit(config, clips, footage, folder / "phase1", Mesh()):
        report.state.save(folder / "phase2")
    return {table.modality: table for table in report.scores if table.split == "test"}


@pytest.fixture(scope="session")
def encoders(phase1_tables: Tables, folder: Path) -> list[Packed]:
    return pack_encoders(folder / "phase1", "one", MODALITIES)


@pytest.fixture(scope="session")
def video(phase2_tables: Tables, footage: Footage, folder: Path) -> Packed:
    return pack_video(folder / "phase2", "two", footage.visual)


@pytest.fixture(scope="session")
def write(clips: ClipSet, folder: Path) -> WriteModel:
    """Write a model of packed networks, and return its folder."""

    def write(name: str, networks: list[Packed], **changes: object) -> str:
        manifest = clips.manifest
        described = ModelDescription(
            SCHEMA_VERSION, name, "phase1", manifest.dataset, "cross-view", "val", "0" * 64,
            dict(manifest.source), manifest.class_names, manifest.layout, None,
            tuple(each for each, _ in networks),
        )  # fmt: skip
        described = replace(described, **changes)  # type: ignore[arg-type]
        weights = {network.name: tensors for network, tensors in networks}
        uri = str(folder / "models" / name)
        write_model(model_content(described, weights), uri)
        return uri

    return write


@pytest.fixture(scope="session")
def skeleton_model(write: WriteModel, encoders: list[Packed]) -> str:
    return write("skeletons", encoders)


@pytest.fixture(scope="session")
def video_model(write: WriteModel, encoders: list[Packed], video: Packed) -> str:
    return write("video", [*encoders, video], kind="phase2")
