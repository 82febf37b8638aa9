"""A small store, and a model that was trained on it."""

from pathlib import Path

import pytest
from made_models import make_model
from video_files import write_video_store

from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video_store(tmp_path_factory.mktemp("serving") / "store")


@pytest.fixture(scope="session")
def clips(store: Path) -> ClipSet:
    return load_clips(store)


@pytest.fixture(scope="session")
def model(clips: ClipSet, store: Path) -> str:
    return make_model(clips, store.parent)
