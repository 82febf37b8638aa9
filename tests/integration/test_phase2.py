"""Phase 2 and the pipeline from the command line, and what MLflow holds of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_stores
import numpy as np
import pytest
from held import Held
from mlflow import MlflowClient
from processes import each_once

from hhmnet_core.deploy.model import load_model
from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import read_scores
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.reading import load_clips

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Start = Callable[..., Any]
PHASE2 = Path(__file__).parents[2] / "experiments" / "phase2.py"
TINY = ("--video.widths=[8,16]", "--video.depths=[1,1]", "--optim.epochs=3", "--optim.batch=8")


def runs(workspace: Path) -> dict[str, Path]:
    return {folder.name.split("-")[1]: folder for folder in (workspace / "runs").iterdir()}


def weights(workspace: Path) -> bytes:
    return (runs(workspace)["phase2"] / "epoch-00003" / "video.safetensors").read_bytes()


@pytest.fixture(scope="module")
def pipeline(run_script: Start, data: Path) -> Start:
    """`pipeline(workspace, "--dry_run=true")`: `pipeline.py`, which has to succeed; its output."""
    phase1 = ("data.frames=16", "model.widths=[16,16]", "model.heads=2", "model.embedding=16")
    options = [
        *(f"--phase1.{option}" for option in (*phase1, "optim.epochs=3", "optim.batch=8")),
        *(f"--phase2.{option[2:]}" for option in TINY),
        f"--data.store={data}",
    ]

    def run(workspace: Path, *more: str) -> str:
        process = run_script("pipeline.py", *options, f"--workspace={workspace}", *more)
        assert process.finish() == 0, process.output
        return str(process.output)

    return run


@pytest.fixture(scope="module")
def trained(finished: Path, pipeline: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that held phase 1, after the pipeline; the terminal output is in output.txt."""
    workspace = tmp_path_factory.mktemp("phase2")
    shutil.copytree(finished / "runs", workspace / "runs")
    shutil.copy(finished / "mlflow.db", workspace)
    (workspace / "output.txt").write_text(pipeline(workspace))
    return workspace


@pytest.fixture(scope="module")
def phase2_arguments(trained: Path, data: Path) -> Callable[..., tuple[str, ...]]:
    """`phase2_arguments(workspace)`: what follows `phase2.py` on the command line."""
    guide = runs(trained)["phase1"]
    return lambda workspace, *more: each_once(
        *TINY,
        f"--data.store={data}",
        f"--phase1={guide}",
        f"--workspace={workspace}",
        *more,
    )


@pytest.fixture(scope="module")
def phase2(run_script: Start, phase2_arguments: Callable[..., tuple[str, ...]]) -> Start:
    """`phase2(workspace)`: `phase2.py` under the guidance of the finished phase 1."""
    return lambda *arguments: run_script("phase2.py", *phase2_arguments(*arguments))


def test_pipeline_finds_phase1_and_trains_the_rest(trained: Path) -> None:
    output = (trained / "output.txt").read_text()
    assert output.count("is complete") == 1 and "1 network and" in output
    clips = (
        "clips without video, neither trained on nor scored: 4 of 12 val clips, 2 of 18 test clips"
    )
    assert f"note        {clips}" in output
    assert "2 test clips without video are not counted" in output
    assert "4 of 12 clips of val and 2 of 18 clips of test have no video" in output
    (file,) = (trained / "fusions").glob("*/fusion.json")
    fusion = json.loads(file.read_text())
    assert fusion["clips"] == {"val": 8, "test": 16}
    assert len(fusion["fusions"]["equal"]["weights"]) == 5
    (report,) = (trained / "ensembles").glob("*/report.html")
    assert f"Report   {report}" in output
    ensemble = json.loads((report.parent / "ensemble.json").read_text())
    (rejected,) = (each for each in ensemble["rejected"] if "no video" in each["reason"])
    assert rejected["name"] == "4 of 12 clips of val and 2 of 18 clips of test"
    assert len(ensemble["leaderboard"]) >= 5 + 5  # five networks, and what they are compared with


def test_pipeline_again_trains_nothing(trained: Path, pipeline: Start) -> None:
    output = pipeline(trained)
    assert output.count("is complete") == 2 and "starting Ray" not in output


def test_plan_of_the_pipeline_stops_at_the_phase1_that_is_not_trained(
    pipeline: Start, tmp_path: Path
) -> None:
    output = pipeline(tmp_path / "new", "--dry_run=true")
    assert "Phase 2 can be planned once phase 1, which guides it, is trained" in output


def test_run_leaves_video_and_its_fusion_with_the_skeleton(trained: Path) -> None:
    folder = runs(trained)["phase2"]
    result = json.loads((folder / "result.json").read_text())
    assert result["phase"] == "phase2"
    assert list(result["members"]) == [*MODALITIES, "video", "fusion"]
    skeleton = runs(trained)["phase1"] / "scores"
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


def test_models_of_run_fusion_and_ensemble_predict_what_their_scores_hold(trained: Path) -> None:
    folder = runs(trained)["phase2"]
    store = json.loads((folder / "result.json").read_text())["tags"]["hhmnet.store"]
    clips, footage = load_clips(store), load_footage(store)
    table = read_scores(folder / "scores" / "fusion-test.parquet")
    indices = np.searchsorted(clips.sample_ids, table.sample_ids)
    assert [str(name) for name in clips.sample_ids[indices]] == list(table.sample_ids)
    model = load_model(folder / "model")
    logits = model.score(clips, footage, indices)
    np.testing.assert_allclose(model.combine(logits), table.logits, rtol=0, atol=1e-5)
    assert model.description.figures["test_top1"] == pytest.approx(top1(table))
    for kind, file, figure in (
        ("fusions", "fusion.json", lambda result: result["fusions"]["searched"]["test_top1"]),
        ("ensembles", "ensemble.json", lambda result: result["leaderboard"][0]["test_top1"]),
    ):
        (place,) = (trained / kind).glob("*/model")
        combined = load_model(place)
        probabilities = combined.probabilities(combined.score(clips, footage, indices))
        correct = probabilities.argmax(1) == table.labels
        result = json.loads((place.parent / file).read_text())
        assert correct.mean() == pytest.approx(figure(result))
        assert combined.description.figures["test_top1"] == pytest.approx(figure(result))


def test_mlflow_holds_video_under_its_phase(trained: Path) -> None:
    client = MlflowClient(f"sqlite:///{trained / 'mlflow.db'}")
    (experiment,) = (e for e in client.search_experiments() if e.name.startswith("films"))
    found = client.search_runs(
        [experiment.experiment_id], filter_string="tags.`hhmnet.phase` = 'phase2'"
    )
    by_member = {run.data.tags["hhmnet.modality"]: run for run in found}
    assert len(found) == 2 and set(by_member) == {"video", "fusion"}
    video, parent = by_member["video"], by_member["fusion"]
    assert video.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.tags["hhmnet.phase1"] == runs(trained)["phase1"].name
    assert video.info.status == parent.info.status == "FINISHED"
    assert {"train/loss", "val/top1", "test/top1", "train/guidance"} <= set(video.data.metrics)
    weights = {f"fitted/weight/{member}" for member in (*MODALITIES, "video")}
    assert weights <= set(parent.data.params)
    best = {"best/val_top1", "val/top1_best", "fitted/val_top1", "fitted/test_top1"}
    test = {"test/top1", "test/mean_class_accuracy", "test/loss"}
    ours = {name for name in parent.data.metrics if not name.startswith("system/")}
    assert ours == best | test
    assert not [name for name in video.data.metrics if name.startswith("similarity/")]
    table = json.loads(
        Path(client.download_artifacts(video.info.run_id, "similarity.json")).read_text()
    )
    assert len(table["data"]) == len(PARTS) and "right_leg" in table["columns"]
    assert video.data.params["video.backbone"] == "resnet"
    files = {file.path for file in client.list_artifacts(parent.info.run_id, "figures")}
    assert {"figures/guidance.png", "figures/class-gains-test.png"} <= files


def test_same_command_again_shows_the_result_without_training(trained: Path, phase2: Start) -> None:
    again = phase2(trained)
    assert again.finish() == 0, again.output
    assert "is complete" in again.output and "video" in again.output
    assert "starting Ray" not in again.output


def test_store_defaults_to_that_of_the_phase1_run(
    trained: Path, run_script: Start, tmp_path: Path
) -> None:
    guide = runs(trained)["phase1"]
    options = (f"--phase1={guide}", f"--workspace={tmp_path}", "--dry_run=true", *TINY)
    process = run_script("phase2.py", *options)
    assert process.finish() == 0, process.output
    assert f"run         {runs(trained)['phase2'].name}" in process.output


def test_pipeline_without_video_is_refused_before_it_trains(
    run_script: Start, tmp_path: Path
) -> None:
    made_stores.write_small_store(tmp_path / "store")
    options = (f"--data.store={tmp_path / 'store'}", f"--workspace={tmp_path / 'workspace'}")
    process = run_script("pipeline.py", *options)
    assert process.finish(120) == 2, process.output
    assert "has no video" in process.output and "starting Ray" not in process.output


def test_dry_run_shows_the_plan(phase2: Start, tmp_path: Path) -> None:
    process = phase2(tmp_path, "--dry_run=true")
    assert process.finish() == 0, process.output
    for line in ("films-phase2-", "parameters  video", "clips       24 train, 8 val, 16 test"):
        assert line in process.output
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_best_guidance_of_a_search_is_a_config(
    trained: Path, run_script: Start, tmp_path: Path
) -> None:
    guide = runs(trained)["phase1"].name
    shutil.copytree(runs(trained)["phase1"], tmp_path / "runs" / guide)
    space = (
        "--space={guidance.mode: {choices: [uniform, 'off']}, "
        "parts.temperature: {low: 0.05, high: 0.5}}"
    )
    options = (f"--phase1={guide}", f"--workspace={tmp_path}")
    few = ("--trials=2", "--epochs=1", "--grace=1", "--workers=1", "--cpus_per_worker=1")
    search = run_script("search.py", "phase2", *options, *TINY, *few, space)
    assert search.finish() == 0, search.output
    (study,) = (tmp_path / "searches").iterdir()
    assert study.name.startswith("films-search-")
    train = (
        f"hhmnet train phase2 --config {study}/best.yaml --phase1 {guide} --workspace {tmp_path}"
    )
    assert f"{train}\n" in search.output
    trials = json.loads((study / "trials.json").read_text())
    assert {trial["epochs"] for trial in trials} == {1} and len(trials) == 2
    plan = run_script("phase2.py", f"--config={study / 'best.yaml'}", *options, "--dry_run=true")
    assert plan.finish() == 0, plan.output
    assert "steps       3 per epoch, 9 in 3 epochs" in plan.output  # the whole run, not a trial's


@pytest.mark.slow
def test_driver_killed_and_command_repeated_ends_with_equal_weights(
    trained: Path,
    phase2: Start,
    phase2_arguments: Callable[..., tuple[str, ...]],
    held: Held,
    tmp_path: Path,
) -> None:
    held.save_until(1)
    process = held.script(PHASE2, *phase2_arguments(tmp_path))
    held.wait(process, epoch=2, workers=1)
    process.wait_for(r"^ *1/3 ")
    process.popen.kill()
    process.finish()
    again = phase2(tmp_path)
    assert again.finish() == 0, again.output
    assert "resuming after epoch 1" in again.output
    assert weights(tmp_path) == weights(trained)
