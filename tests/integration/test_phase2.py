"""Phase 2 from the command line: a whole run, an interrupted one, and what MLflow holds of it."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from video_files import write_video_store

from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import read_scores
from hhmnet_core.skeleton.modalities import MODALITIES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Start = Callable[..., Any]
PHASE2 = Path(__file__).parents[2] / "experiments" / "phase2.py"
TINY = ("--video.widths=[8,16]", "--video.depths=[1,1]", "--optim.epochs=3", "--optim.batch=8")


def runs(workspace: Path) -> dict[str, Path]:
    return {folder.name.split("-")[1]: folder for folder in (workspace / "runs").iterdir()}


def weights(workspace: Path) -> bytes:
    return (runs(workspace)["phase2"] / "epoch-00003" / "video.safetensors").read_bytes()


@pytest.fixture(scope="module")
def workspace(phase1: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a finished phase-1 run."""
    folder = tmp_path_factory.mktemp("phase2")
    store = write_video_store(folder / "store")
    process = phase1(folder, f"--data.store={store}", "--optim.epochs=2")
    assert process.finish() == 0, process.output
    return folder


@pytest.fixture(scope="module")
def phase2(start: Start, workspace: Path) -> Start:
    """Starts `experiments/phase2.py` under the guidance of that run, in any workspace."""

    def run(into: Path, *arguments: str) -> Any:
        given = (f"--data.store={workspace / 'store'}", f"--phase1={runs(workspace)['phase1']}")
        return start(sys.executable, PHASE2, *TINY, *given, f"--workspace={into}", *arguments)

    return run


@pytest.fixture(scope="module")
def finished(phase2: Start, workspace: Path) -> Path:
    process = phase2(workspace)
    assert process.finish() == 0, process.output
    assert "1 network each" in process.output
    said = "no video, so neither trained on nor scored: 4 of 12 val clips, 2 of 18 test clips"
    assert f"note        {said}" in process.output
    assert "2 test clips without video are not counted" in process.output
    return workspace


def test_run_leaves_video_and_its_fusion_with_the_skeleton(finished: Path) -> None:
    folder = runs(finished)["phase2"]
    result = json.loads((folder / "result.json").read_text())
    assert result["phase"] == "phase2"
    assert list(result["members"]) == [*MODALITIES, "video", "fusion"]
    skeleton = runs(finished)["phase1"] / "scores"
    tables = keep_shared_clips(
        [
            read_scores(folder / "scores" / "video-test.parquet"),
            *(read_scores(skeleton / f"{m}-test.parquet") for m in MODALITIES),
        ]
    )
    assert len(tables[0]) == 16  # two clips have no video
    assert result["members"]["fusion"]["test_top1"] == pytest.approx(top1(fuse(tables)))
    for member, of_filmed in zip(("video", *MODALITIES), tables, strict=True):
        assert result["members"][member]["test_top1"] == pytest.approx(top1(of_filmed))
    assert result["not_filmed"] == 2
    assert list(result["fitted"]["weights"]) == [*MODALITIES, "video"]
    assert len(read_scores(folder / "scores" / "fitted-test.parquet")) == 16
    for figure in (
        "video-confusion-test.png", "guidance.png", "compared-test.png", "class-gains-test.png",
        "part-similarity.png",
    ):  # fmt: skip
        assert (folder / "figures" / figure).stat().st_size > 10_000


def test_mlflow_holds_video_under_its_phase(finished: Path) -> None:
    client = MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name.startswith("films"))
    found = client.search_runs(
        [experiment.experiment_id], filter_string="tags.`hhmnet.phase` = 'phase2'"
    )
    by_member = {run.data.tags["hhmnet.modality"]: run for run in found}
    assert len(found) == 2 and set(by_member) == {"video", "fusion"}
    video, parent = by_member["video"], by_member["fusion"]
    assert video.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.tags["hhmnet.phase1"] == runs(finished)["phase1"].name
    assert video.info.status == parent.info.status == "FINISHED"
    assert {"train/loss", "val/top1", "test/top1", "train/guidance"} <= set(video.data.metrics)
    weights = {f"fitted/weight/{member}" for member in (*MODALITIES, "video")}
    top1s = {"best/val_top1", "test/top1", "fitted/val_top1", "fitted/test_top1"}
    assert set(parent.data.metrics) == top1s | weights
    assert "similarity/left_arm/right_leg" in video.data.metrics
    assert video.data.params["video.backbone"] == "resnet"
    files = {file.path for file in client.list_artifacts(parent.info.run_id, "figures")}
    assert {"figures/guidance.png", "figures/class-gains-test.png"} <= files


def test_same_command_again_says_complete(finished: Path, phase2: Start) -> None:
    again = phase2(finished)
    assert again.finish() == 0, again.output
    assert "is complete" in again.output and "video" in again.output
    assert "starting Ray" not in again.output


def test_store_is_that_of_the_phase1_run_where_none_is_given(
    finished: Path, start: Start, tmp_path: Path
) -> None:
    guide = runs(finished)["phase1"]
    given = (f"--phase1={guide}", f"--workspace={tmp_path}", "--dry_run=true", *TINY)
    process = start(sys.executable, PHASE2, *given)
    assert process.finish() == 0, process.output
    assert f"run         {runs(finished)['phase2'].name}" in process.output


def test_pipeline_finds_what_is_done_and_trains_the_rest(
    finished: Path, start: Start, tmp_path: Path
) -> None:
    def pipeline(workspace: Path, *more: str) -> Any:
        as_given = ("data.frames=16", "model.widths=[16,16]", "model.heads=2", "model.embedding=16")
        first = (f"--phase1.{each}" for each in (*as_given, "optim.epochs=2", "optim.batch=8"))
        second = (f"--phase2.{option[2:]}" for option in TINY)
        where = (f"--data.store={finished / 'store'}", f"--workspace={workspace}")
        script = PHASE2.with_name("pipeline.py")
        process = start(sys.executable, script, *first, *second, *where, *more)
        assert process.finish() == 0, process.output
        return process.output

    again = pipeline(finished)
    assert again.count("is complete") == 2 and "starting Ray" not in again
    assert "4 of 12 clips of val and 2 of 18 clips of test have no video" in again
    (found,) = (finished / "fusions").glob("*/fusion.json")
    said = json.loads(found.read_text())
    assert said["clips"] == {"val": 8, "test": 16} and len(said["fusions"]["equal"]["weights"]) == 5
    (report,) = (finished / "ensembles").glob("*/report.html")
    assert f"Report   {report}" in again
    ensemble = json.loads((report.parent / "ensemble.json").read_text())
    (without,) = (each for each in ensemble["rejected"] if "no video" in each["reason"])
    assert without["name"] == "4 of 12 clips of val and 2 of 18 clips of test"
    assert len(ensemble["leaderboard"]) >= 5 + 5  # five networks, and what they are compared with
    planned = pipeline(tmp_path / "new", "--dry_run=true")
    assert "It can be planned when phase 1 has been trained" in planned
    half = tmp_path / "half"
    shutil.copytree(runs(finished)["phase1"], half / "runs" / runs(finished)["phase1"].name)
    rest = pipeline(half)
    assert rest.count("is complete") == 1 and "1 network each" in rest
    assert weights(half) == weights(finished)


@pytest.mark.slow
def test_guidance_is_searched_and_the_best_is_a_config(
    finished: Path, start: Start, tmp_path: Path
) -> None:
    shutil.copytree(runs(finished)["phase1"], tmp_path / "runs" / runs(finished)["phase1"].name)
    space = "--space={guidance.mode: {choices: [uniform, 'off']}, parts.temperature: {low: 0.05, "
    given = (f"--phase1={runs(finished)['phase1'].name}", f"--workspace={tmp_path}", *TINY)
    few = ("--trials=2", "--epochs=1", "--grace=1", "--workers=1", "--cpus_per_worker=1")
    script = PHASE2.with_name("search.py")
    search = start(sys.executable, script, "phase2", *given, *few, f"{space}high: 0.5}}}}")
    assert search.finish() == 0, search.output
    (study,) = (tmp_path / "searches").iterdir()
    assert study.name.startswith("films-search-")
    train = f"phase2.py --config {study}/best.yaml --phase1 {given[0][9:]} --workspace {tmp_path}"
    assert f"{train}\n" in search.output
    trials = json.loads((study / "trials.json").read_text())
    assert {trial["epochs"] for trial in trials} == {1} and len(trials) == 2
    plan = start(
        sys.executable, PHASE2, f"--config={study / 'best.yaml'}", *given[:2], "--dry_run=true"
    )
    assert plan.finish() == 0, plan.output
    assert "steps       3 an epoch, 9 in 3 epochs" in plan.output  # the whole run, not a trial's


def test_pipeline_without_video_says_so_before_it_trains(
    start: Start, data: Path, tmp_path: Path
) -> None:
    given = (f"--data.store={data}", f"--workspace={tmp_path}")
    process = start(sys.executable, PHASE2.with_name("pipeline.py"), *given)
    assert process.finish(120) == 2, process.output
    assert "has no video" in process.output and "starting Ray" not in process.output


def test_dry_run_says_what_it_would_take(phase2: Start, finished: Path, tmp_path: Path) -> None:
    process = phase2(tmp_path, "--dry_run=true")
    assert process.finish() == 0, process.output
    for said in ("films-phase2-", "parameters  video", "clips       24 train, 8 val, 16 test"):
        assert said in process.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_driver_killed_and_command_repeated_ends_with_equal_weights(
    finished: Path, phase2: Start, tmp_path: Path
) -> None:
    process = phase2(tmp_path)
    seconds = float(process.wait_for(r"^ *1/3 .* ([0-9.]+) s ")[1])
    time.sleep(seconds / 2)
    process.popen.kill()
    process.finish()
    again = phase2(tmp_path)
    assert again.finish() == 0, again.output
    assert "resuming after epoch" in again.output
    assert weights(tmp_path) == weights(finished)
