"""Out-of-fold scores: every training clip is scored by a network that was not trained on it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from finished_runs import write_finished_run

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable, write_scores
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.protocols import fold_of
from hhmnet_platform.fusion import out_of_fold
from hhmnet_platform.fusion.out_of_fold import check_folds, out_of_fold_candidates
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.storage.workspace import Workspace


def scores(folder: Path, members: tuple[str, ...], split: str, ids: list[str], at: float) -> None:
    for member in members:
        logits = np.full((len(ids), 2), at, np.float32)
        labels = np.zeros(len(ids), np.int64)
        table = ScoreTable(
            tuple(ids), labels, logits, folder.name, member, split, "d" * 64, ("a", "b")
        )
        write_scores(table, str(folder / "scores" / f"{member}-{split}.parquet"))


def a_run(workspace: Path, name: str, phase: str, **changes: Any) -> Path:
    settings = {"phase": phase, "selection": "literature", "tags": {}} | changes
    return Path(write_finished_run(workspace, name, **settings).uri)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Workspace, list[Any]]:
    """A phase-1 run and the phase-2 run that it guided; jobs that are run are recorded."""
    first = a_run(tmp_path, "first", "phase1")
    second = a_run(tmp_path, "second", "phase2", tags={"hhmnet.phase1": "first"})
    (first / "config.yaml").write_text(
        yaml.safe_dump({"workspace": "/gone", "name": "first", "data": {"frames": 9}, "workers": 3})
    )
    (second / "config.yaml").write_text(yaml.safe_dump({"phase1": "/gone/first", "seed": 4}))
    for folder, members in ((first, MODALITIES), (second, ("video",))):
        scores(folder, members, "test", ["t"], 0.0)
    jobs: list[Any] = []

    def run(job: Any) -> str:
        fold = fold_of(job.data.selection)
        assert fold
        name = f"fold-run-{len(jobs)}"
        jobs.append(job)
        phase1 = isinstance(job, Phase1Job)
        folder = a_run(tmp_path, name, "phase1" if phase1 else "phase2")
        members = MODALITIES if phase1 else ("video",)
        scores(folder, members, "val", [f"clip-{fold[0]}"], float(fold[0]))
        return name

    monkeypatch.setattr(out_of_fold, "run_phase", run)
    return Workspace(str(tmp_path)), jobs


def test_runs_of_folds_have_the_config_of_the_run(workspace: tuple[Workspace, list[Any]]) -> None:
    folder, jobs = workspace
    candidates = out_of_fold_candidates(folder, ["second", "first"], 3, "http://there")
    assert [type(job) for job in jobs] == [Phase1Job, Phase2Job] * 3
    assert [job.data.selection for job in jobs[::2]] == [f"fold-{n}-of-3" for n in (1, 2, 3)]
    for at, (one, two) in enumerate(zip(jobs[::2], jobs[1::2], strict=True)):
        assert (one.data.frames, one.workers, one.name) == (9, 3, "")
        assert (one.workspace, one.tracking_uri) == (folder.uri, "http://there")
        assert (two.seed, two.phase1) == (4, f"fold-run-{2 * at}")  # guided by the fold's own
    assert [each.name for each in candidates] == [
        "second/video", *(f"first/{modality}" for modality in MODALITIES)
    ]  # fmt: skip
    for each in candidates:
        assert each.val.sample_ids == ("clip-1", "clip-2", "clip-3")
        np.testing.assert_array_equal(each.val.logits[:, 0], [1, 2, 3])
        assert each.test.run == each.run


def test_guide_is_trained_without_each_fold_too(workspace: tuple[Workspace, list[Any]]) -> None:
    folder, jobs = workspace
    (video,) = out_of_fold_candidates(folder, ["second"], 2, "")
    assert video.member == "video" and len(jobs) == 4


def test_runs_with_a_validation_split_are_refused(tmp_path: Path) -> None:
    a_run(tmp_path, "chosen", "phase1", selection="val")
    with pytest.raises(InputError, match="chosen was trained with selection val: --folds is for"):
        out_of_fold_candidates(Workspace(str(tmp_path)), ["chosen"], 2, "")
    with pytest.raises(InputError, match="other does not exist"):
        out_of_fold_candidates(Workspace(str(tmp_path)), ["other"], 2, "")


@pytest.mark.parametrize("number", [1, 0, -3, 1000])
def test_impossible_numbers_of_folds_are_refused(number: int) -> None:
    with pytest.raises(InputError, match=f"folds must be 2 to 100, but is {number}"):
        check_folds(number)
