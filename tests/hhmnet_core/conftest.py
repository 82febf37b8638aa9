"""A small store that learning shows on: ragged clips, one or two bodies, three subjects."""

from pathlib import Path

import numpy as np
import pytest
from made_stores import write_store

from hhmnet_core.store.clips import Clip, ClipSet
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.store.reading import load_clips

CLASSES = ("raise", "lower", "sway")


def _clip(number: int) -> Clip:
    random = np.random.default_rng(number)
    label, bodies = number % 3, 1 + number % 2
    frames = 1 if number == 5 else int(random.integers(8, 40))
    joints = np.tile(random.normal(size=(bodies, 1, 20, 3)), (1, frames, 1, 1))
    progress = np.linspace(0, 1, frames)[:, None]
    change = (progress, -progress, np.sin(6 * progress))[label]
    joints[:, :, 4:12, 1] += 2 * change
    return Clip(
        f"clip{number:03d}",
        label,
        1 + number // 3 % 3,
        1 + number // 36,
        0,
        joints.astype(np.float32),
    )


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 clips of camera 1 to train on, 18 of camera 2 to test on."""
    store = tmp_path_factory.mktemp("tiny_store")
    write_store(
        store,
        (_clip(number) for number in range(54)),
        dataset="tiny",
        layout="kinect_v1_20",
        class_names=CLASSES,
        protocols={"cross-view": Protocol(train={"camera": [1]}, test={"camera": [2]})},
        source={"made": "by the tests"},
    )
    return store


@pytest.fixture(scope="session")
def tiny_clips(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    return load_clips(tiny_store, tmp_path_factory.mktemp("cache"))
