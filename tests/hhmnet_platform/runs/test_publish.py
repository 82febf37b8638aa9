"""What is made of a finished run's scores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_files import film_store

from hhmnet_core.fusion.scores import FUSION, ScoreTable, write_scores
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.publish import summarise
from hhmnet_platform.runs.run import Run, prepare_run
from hhmnet_platform.storage.workspace import Workspace


@pytest.mark.parametrize("selection", ["val", "literature"])
def test_copies_of_training_clips_are_left_out_of_a_figure_of_their_own(
    tmp_path: Path, selection: str
) -> None:
    store = str(film_store(tmp_path / "store"))
    asked = Phase1Job(
        data=DataConfig(store=store, selection=selection), workspace=str(tmp_path / "runs")
    )
    run = prepare_run(asked, Workspace(asked.workspace), store)
    clips, parts = run.clips, run.parts
    # One that was told wrong, one that was told right.
    some = frozenset(str(clips.sample_ids[parts.test[i]]) for i in (0, 5))
    everything = frozenset(str(clips.sample_ids[i]) for i in parts.test)
    history = [{"epoch": 1, "seconds": 1.0, "metrics": {name: {} for name in MODALITIES}}]
    plan = MeshPlan((2,), 2, False, 1)
    test = len(parts.test)

    def scored(copies: frozenset[str]) -> dict[str, Any]:
        """What becomes of the run when its score tables mark these clips."""
        write_tables(run, copies)
        return summarise(run, plan, history)

    result = scored(frozenset())
    assert result["copies"] == [] and "test_top1_without_copies" not in result["members"][FUSION]
    result = scored(some)
    assert result["copies"] == sorted(some)
    for member in (*MODALITIES, FUSION):
        figures = result["members"][member]
        assert figures["test_top1"] == pytest.approx((test - 3) / test)
        assert figures["test_top1_without_copies"] == pytest.approx((test - 4) / (test - 2))
        (last,) = result["history"]
        said = last["metrics"][member]["test/top1_without_copies"]
        assert said == figures["test_top1_without_copies"]
    fitted = result["fitted"].get("test_top1_without_copies")
    assert fitted == (pytest.approx((test - 4) / (test - 2)) if selection == "val" else None)
    assert "test_top1_without_copies" not in scored(everything)["members"][FUSION]


def write_tables(run: Run, copies: frozenset[str]) -> None:
    """Score tables in which the first three clips of a part are told wrong."""
    clips = run.clips
    for split, indices in (("val", run.parts.val), ("test", run.parts.test)):
        labels = clips.labels[indices]
        logits = np.eye(len(clips.manifest.class_names), dtype=np.float32)[labels]
        logits[:3] *= -1  # the first three are told wrong
        table = ScoreTable(
            tuple(str(clips.sample_ids[i]) for i in indices), labels, logits, run.folder.name,
            FUSION, split, clips.manifest.digest, clips.manifest.class_names,
            copies if split == "test" else frozenset(),
        )  # fmt: skip
        for member in (*MODALITIES, FUSION) if len(indices) else ():
            uri = f"{run.folder.uri}/scores/{member}-{split}.parquet"
            write_scores(replace(table, modality=member), uri)
