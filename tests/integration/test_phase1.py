"""Phase 1 from the command line: an uninterrupted run, and runs that lose a process or MLflow."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from held import Held
from mlflow import MlflowClient
from processes import family, free_port, is_running, wait_until

from hhmnet_core.deploy.model import load_model
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import read_scores
from hhmnet_core.fusion.shrinkage import choose_weights
from hhmnet_core.fusion.weight_fitting import fit_temperature
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.reading import load_clips

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Start = Callable[..., Any]
Arguments = Callable[..., tuple[str, ...]]
PHASE1 = Path(__file__).parents[2] / "experiments" / "phase1.py"


def run_folder(workspace: Path) -> Path:
    (folder,) = (workspace / "runs").iterdir()
    return folder


def weights(workspace: Path) -> dict[str, bytes]:
    """The modalities' files of the last checkpoint: weights, averages, optimiser."""
    last = max(run_folder(workspace).glob("epoch-*"))
    assert last.name == "epoch-00003"
    return {m: (last / f"{m}.safetensors").read_bytes() for m in MODALITIES}


def tracked(uri: str) -> dict[str, Any]:
    """The MLflow runs by modality; fails where a modality has two."""
    client = MlflowClient(uri)
    runs: dict[str, Any] = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            member = run.data.tags["hhmnet.modality"]
            assert member not in runs, f"two runs of {member}"
            runs[member] = run
    return runs


def steps(uri: str, run: Any, metric: str) -> list[int]:
    history = MlflowClient(uri).get_metric_history(run.info.run_id, metric)
    return sorted(point.step for point in history)


def assert_tracked_once(uri: str) -> None:
    runs = tracked(uri)
    assert set(runs) == {*MODALITIES, "fusion"}
    for member, run in runs.items():
        assert run.info.status == "FINISHED"
        metrics = ["val/top1"] if member == "fusion" else ["train/loss", "val/loss", "val/top1"]
        for metric in metrics:
            assert steps(uri, run, metric) == [1, 2, 3], (member, metric)
        assert steps(uri, run, "test/top1") == [3]


def test_run_leaves_result_scores_figures_and_table(finished: Path) -> None:
    folder = run_folder(finished)
    result = json.loads((folder / "result.json").read_text())
    assert set(result["members"]) == {*MODALITIES, "fusion"}
    assert [record["epoch"] for record in result["history"]] == [1, 2, 3]
    assert {path.name for path in (folder / "scores").iterdir()} == {
        f"{member}-{split}.parquet"
        for member in (*MODALITIES, "fusion", "fitted")
        for split in ("val", "test")
    }
    val, test = (
        [read_scores(folder / "scores" / f"{m}-{part}.parquet") for m in MODALITIES]
        for part in ("val", "test")
    )
    fitted = fuse(test, choose_weights(val).weights.tolist())
    assert result["fitted"]["test_top1"] == pytest.approx(top1(fitted))
    assert sum(result["fitted"]["weights"].values()) == pytest.approx(1)
    assert (folder / "figures" / "fusion-curves.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "config.yaml").exists()
    output = (finished / "output.txt").read_text()
    table = ("fusion, equal weights", "fitted on val")
    for text in ("starting Ray", "epoch", "3/3", *table, "hhmnet ui --workspace"):
        assert text in output
    (startup,) = [line for line in output.splitlines() if line.startswith("first step after")]
    parts = ("imports", "checks", "Ray", "worker processes", "their imports", "process group")
    for part in (*parts, "clips", "model"):
        assert f" {part} " in startup


def test_its_model_predicts_what_its_scores_hold(finished: Path, data: Path) -> None:
    model = load_model(run_folder(finished) / "model")
    clips = load_clips(data)
    described = model.description
    number_of = {str(name): number for number, name in enumerate(clips.sample_ids)}
    tables = {
        split: read_scores(run_folder(finished) / "scores" / f"fusion-{split}.parquet")
        for split in ("val", "test")
    }
    probabilities = {}
    for split, table in tables.items():
        indices = np.array([number_of[name] for name in table.sample_ids])
        logits = model.score(clips, None, indices)
        np.testing.assert_allclose(model.combine(logits), table.logits, rtol=0, atol=1e-5)
        probabilities[split] = model.probabilities(logits)
    correct = probabilities["test"].argmax(1) == tables["test"].labels
    assert described.figures["test_top1"] == pytest.approx(correct.mean())
    assert described.temperature == pytest.approx(fit_temperature(tables["val"]))
    right = probabilities["val"].argmax(1) == tables["val"].labels
    sure = probabilities["val"].max(1) >= (described.threshold or 0) - 1e-5
    assert sure[right].mean() >= 0.95
    assert described.class_names == clips.manifest.class_names


def test_a_finished_run_keeps_its_last_checkpoint(finished: Path) -> None:
    assert [path.name for path in run_folder(finished).glob("epoch-*")] == ["epoch-00003"]


def test_mlflow_holds_parent_and_children(finished: Path) -> None:
    uri = f"sqlite:///{finished / 'mlflow.db'}"
    assert_tracked_once(uri)
    runs = tracked(uri)
    name = run_folder(finished).name
    parent = runs["fusion"]
    assert parent.info.run_name == name
    client = MlflowClient(uri)
    experiment = client.get_experiment(parent.info.experiment_id)
    assert experiment.name == "films/cross-view"
    assert parent.data.tags["mlflow.source.name"].startswith("python ")
    assert "phase1.py" in parent.data.tags["mlflow.source.name"]
    assert "| fusion, equal weights |" in parent.data.tags["mlflow.note.content"]
    usage = f"system/{socket.gethostname()}/cpu_utilization_percentage"
    assert steps(uri, parent, usage) == [1, 2, 3]
    assert 0 < parent.data.metrics[usage] <= 100
    for modality in MODALITIES:
        run = runs[modality]
        assert run.info.run_name == f"{modality} · {name}"
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["hhmnet.phase"] == "phase1"
        assert len(run.data.tags["hhmnet.data_digest"]) == 64
        assert run.data.params["optim.epochs"] == "3"
        inputs = run.inputs.dataset_inputs
        assert {each.dataset.name for each in inputs} == {"films"}
        assert {each.tags[0].value for each in inputs} == {"train", "val", "test"}
        figures = {file.path for file in client.list_artifacts(run.info.run_id, "figures")}
        assert figures == {
            "figures/curves.png",
            "figures/confusion-test.png",
            "figures/classes-test.png",
        }


def test_same_command_again_shows_the_result_without_training(
    finished: Path, phase1: Start
) -> None:
    again = phase1(finished)
    assert again.finish() == 0, again.output
    assert "is complete" in again.output and "fusion, equal weights" in again.output
    assert "starting Ray" not in again.output


@pytest.mark.slow
def test_worker_killed_while_mlflow_is_away_costs_nothing(
    finished: Path,
    phase1: Start,
    phase1_arguments: Arguments,
    held: Held,
    mlflow_server: Any,
    tmp_path: Path,
) -> None:
    port, database, workspace = free_port(), tmp_path / "server.db", tmp_path / "workspace"
    tracking = f"--tracking_uri=http://127.0.0.1:{port}"
    held.save_until(1)
    with mlflow_server(database, port):
        process = held.script(PHASE1, *phase1_arguments(workspace, tracking))
        process.wait_for(r"^ *1/3 ")
    pid = held.wait(process, epoch=2, workers=2)[0]
    assert str(pid) in process.wait_for(r"worker processes (\d+, \d+)")[1]
    os.kill(pid, signal.SIGKILL)
    held.save_all()
    assert process.finish() == 0, process.output
    assert "starting again after epoch 1 (1 of 3 failures allowed)" in process.output
    assert weights(workspace) == weights(finished)
    assert process.output.count("cannot be written") == 1
    assert "give the same command again to write what is missing" in process.output
    assert "fusion, equal weights" in process.output
    with mlflow_server(database, port) as url:
        again = phase1(workspace, tracking)
        assert again.finish() == 0, again.output
        assert "is complete" in again.output
        assert_tracked_once(url)
        assert_artifacts(url)


@pytest.mark.slow
def test_driver_killed_and_newest_checkpoint_damaged_ends_with_equal_weights(
    finished: Path, phase1: Start, phase1_arguments: Arguments, held: Held, tmp_path: Path
) -> None:
    held.save_until(2)
    process = held.script(PHASE1, *phase1_arguments(tmp_path))
    held.wait(process, epoch=3, workers=2)
    process.wait_for(r"^ *2/3 ")
    started = list(family(process.popen.pid))
    process.popen.kill()
    process.finish()
    wait_until(lambda: not any(map(is_running, started)), "all of the run to end", 10)
    folder = run_folder(tmp_path)
    assert not (folder / "result.json").exists()
    (folder / "epoch-00002" / "bone.safetensors").write_bytes(b"damaged")
    again = phase1(tmp_path)
    assert again.finish() == 0, again.output
    assert (
        "bone.safetensors does not match its checksum in state.json; resuming from epoch-00001."
        in again.output
    )
    assert "resuming after epoch 1" in again.output
    assert weights(tmp_path) == weights(finished)
    assert_tracked_once(f"sqlite:///{tmp_path / 'mlflow.db'}")


def assert_artifacts(url: str) -> None:
    client, parent = MlflowClient(url), tracked(url)["fusion"]
    names = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"config.yaml", "result.json", "figures", "scores"} <= names


def test_error_raised_by_workers_is_one_line_without_retries(phase1: Start, tmp_path: Path) -> None:
    process = phase1(tmp_path, "--optim.lr=1e30", "--optim.warmup=0")
    assert process.finish() == 2, process.output
    assert "starting again" not in process.output and "Traceback" not in process.output
    (line,) = [line for line in process.output.splitlines() if line.startswith("error: ")]
    assert "lower optim.lr" in line
    assert {run.info.status for run in tracked(f"sqlite:///{tmp_path / 'mlflow.db'}").values()} == {
        "FAILED"
    }
