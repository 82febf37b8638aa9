"""A filmed store, and workspaces with a phase-1 run that can guide on it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_runs import write_checkpoint, write_finished_run
from video_files import write_video_store

from hhmnet_core.fusion.scores import FUSION, ScoreTable, write_scores
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.runs.config import Phase2Job
from hhmnet_platform.runs.run import Run
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.scores import scores_file


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video_store(tmp_path_factory.mktemp("films"))


@pytest.fixture
def guide(store: Path) -> Callable[..., RunFolder]:
    """`guide(workspace)`: a finished phase-1 run of the store, as far as phase 2 looks at it."""

    def write(workspace: Path, of: Path = store, **changes: Any) -> RunFolder:
        settings = {"digest": load_clips(of).skeletons} | changes
        run = write_finished_run(workspace, **settings)
        write_checkpoint(run, b"weights")
        return run

    return write


@pytest.fixture
def phase2_job(store: Path) -> Callable[..., Phase2Job]:
    """`phase2_job(**changes)`: phase 2 on the store, guided by the run `first`."""
    return lambda **changes: Phase2Job(
        **{"data": StoreConfig(store=str(store)), "phase1": "first"} | changes
    )


@pytest.fixture
def write_tables() -> Callable[..., None]:
    """`write_tables(run, member, ...)`: score tables of splits in which three clips are wrong."""

    def write(
        run: Run,
        *members: str,
        folder: RunFolder | None = None,
        copies: frozenset[str] = frozenset(),
    ) -> None:
        clips = run.clips
        for split, indices in (("val", run.split.val), ("test", run.split.test)):
            labels = clips.labels[indices]
            logits = np.eye(len(clips.manifest.class_names), dtype=np.float32)[labels]
            logits[:3] *= -1
            table = ScoreTable(
                tuple(str(clips.sample_ids[i]) for i in indices), labels, logits, run.folder.name,
                FUSION, split, clips.skeletons, clips.manifest.class_names,
                copies if split == "test" else frozenset(),
            )  # fmt: skip
            for member in members if len(indices) else ():
                uri = f"{(folder or run.folder).uri}/{scores_file(member, split)}"
                write_scores(replace(table, modality=member), uri)

    return write
