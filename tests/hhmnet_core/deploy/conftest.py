"""Finished trainings of both phases, and the models that they make."""

from collections.abc import Callable
from pathlib import Path

import pytest
from made_models import Tables, train_phase1, train_phase2, write_packed
from video_files import write_video_store

from hhmnet_core.deploy.packing import Packed, pack_encoders, pack_video
from hhmnet_core.inputs.footage import Footage, load_footage
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips

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
    return train_phase1(clips, folder / "phase1")


@pytest.fixture(scope="session")
def phase2_tables(clips: ClipSet, footage: Footage, phase1_tables: Tables, folder: Path) -> Tables:
    return train_phase2(clips, footage, folder / "phase1", folder / "phase2")


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
        return write_packed(str(folder / "models" / name), clips, networks, **changes)

    return write


@pytest.fixture(scope="session")
def skeleton_model(write: WriteModel, encoders: list[Packed]) -> str:
    return write("skeletons", encoders)


@pytest.fixture(scope="session")
def video_model(write: WriteModel, encoders: list[Packed], video: Packed) -> str:
    return write("video", [*encoders, video], kind="phase2")
