"""NTU RGB+D files, and the printed summary of a store."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from ntu_files import SkeletonFile, Track, clip_name, standing_body
from rich.console import Console

from hhmnet_platform.datasets import builders
from hhmnet_platform.datasets.prepare import Prepared, print_prepared


@pytest.fixture(scope="session")
def ntu_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 .skeleton files: two cameras, two subjects, three actions. Not to be changed.

    Clips of actions 58 and 60 have two bodies.
    """
    folder = tmp_path_factory.mktemp("ntu")
    random = np.random.default_rng(0)
    for camera in (1, 2):
        for performer in (1, 3):
            for action in (1, 58, 60):
                tracks = [
                    Track(0, standing_body(random, 20)),
                    Track(2, standing_body(random, 15, 0.8), 1),
                ]
                text = SkeletonFile(20, tracks[: 1 if action == 1 else 2]).text()
                name = clip_name(camera=camera, performer=performer, action=action)
                (folder / f"{name}.skeleton").write_text(text)
    return folder


@pytest.fixture
def three_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `ntu_files` become shards of 5, 5 and 2 clips."""
    monkeypatch.setattr(builders, "NTU_SHARD_CLIPS", 5)


@pytest.fixture
def summary() -> Callable[[Prepared], str]:
    """`summary(prepared)` returns what is printed about a store."""

    def text(prepared: Prepared) -> str:
        output = StringIO()
        print_prepared(prepared, Console(file=output, width=140))
        return output.getvalue()

    return text
