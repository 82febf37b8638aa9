"""`ablate.py` from the command line: Ray trains, MLflow holds it, a kill loses nothing finished."""

import json
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from processes import Process, each_once, family, is_running, wait_until
from ray_nodes import RayNodes

from hhmnet_platform.ablation.outcomes import Outcome, read_outcomes
from hhmnet_platform.ablation.pages import DIFFERENCES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Start = Callable[..., Process]
VARIANTS, SEEDS = ("all", "no mask"), (1, 2)


@pytest.fixture(scope="module")
def ablate(run_script: Start, data: Path) -> Start:
    """`ablate(workspace, "--seeds=[1]")`: an ablation of two small variants and two seeds."""

    def run(workspace: Path, *more: str, **settings: Any) -> Process:
        options = each_once(
            "--name=tiny", f"--data.store={data}", f"--workspace={workspace}",
            "--data.frames=8", "--model.widths=[8]", "--model.heads=2", "--optim.epochs=2",
            "--optim.batch=8", "--variants=[all,no mask]", "--seeds=[1,2]", *more,
        )  # fmt: skip
        return run_script("ablate.py", "phase1", *options, **settings)

    return run


def outcomes(workspace: Path) -> list[Outcome]:
    return read_outcomes(workspace / "ablations" / "tiny" / "outcomes.jsonl")


def comparable(found: list[Outcome]) -> dict[tuple[str, int], dict[str, Any]]:
    """Return all of outcomes but their seconds, each of which must be there once."""
    by_place = {(each.variant, each.seed): asdict(each) | {"seconds": 0} for each in found}
    assert len(by_place) == len(found)
    return by_place


def tracked(workspace: Path) -> tuple[Run, list[Run]]:
    """Return the ablation's run, and those below it."""
    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    number = client.get_experiment_by_name("films/ablations").experiment_id
    (parent,) = client.search_runs([number], "tags.`hhmnet.phase` = 'ablation'")
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    return parent, client.search_runs([number], below)


def assert_tracked(workspace: Path) -> None:
    """MLflow has each outcome once, and the differences that NumPy computes."""
    parent, children = tracked(workspace)
    found = comparable(outcomes(workspace))
    assert parent.info.status == "FINISHED"
    assert len(children) == len(found) == 4
    for child in children:
        params, metrics = child.data.params, child.data.metrics
        outcome = found[params["variant"], int(params["seed"])]
        assert metrics["test/top1"] == outcome["top1"]["fusion"]
        assert metrics["joint/test_loss"] == outcome["log_loss"]["joint"]
        assert ("model.mask" in params) == (params["variant"] == "no mask")
        assert child.info.status == "FINISHED"
        assert child.data.tags["mlflow.source.name"] == parent.data.tags["mlflow.source.name"]
    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    path = client.download_artifacts(parent.info.run_id, DIFFERENCES)
    table = json.loads(Path(path).read_text())
    (row,) = (
        dict(zip(table["columns"], row, strict=True))
        for row in table["data"]
        if row[:4] == ["no mask", "all benches", "fusion", "log-loss"]
    )
    loss = np.array([[found[v, s]["log_loss"]["fusion"] for s in SEEDS] for v in VARIANTS])
    difference = loss[1] - loss[0]
    error = difference.std(ddof=1) / np.sqrt(2)
    assert row["difference"] == pytest.approx(difference.mean(), abs=1e-12)
    assert row["standard error"] == pytest.approx(error, abs=1e-12)
    text = f"| {difference.mean():+.3f} ± {error:.3f} |"
    assert text in parent.data.tags["mlflow.note.content"]


@pytest.fixture(scope="module")
def undisturbed(ablate: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a finished ablation; its terminal output is in output.txt."""
    workspace = tmp_path_factory.mktemp("undisturbed")
    process = ablate(workspace)
    assert process.finish() == 0, process.output
    (workspace / "output.txt").write_text(process.output)
    return workspace


def test_ablation_prints_its_tables_and_is_tracked(undisturbed: Path) -> None:
    output = (undisturbed / "output.txt").read_text()
    assert "ablation tiny: 4 of 4 runs are left" in output and "  4 of 4  " in output
    assert "fusion, paired differences to 'all':" in output
    assert "| variant | pairs | top-1 | log-loss | CPU s | log-loss difference |" in output
    assert_tracked(undisturbed)


@pytest.mark.slow
def test_killed_ablation_continues_with_equal_outcomes(
    ablate: Start, undisturbed: Path, tmp_path: Path
) -> None:
    process = ablate(tmp_path, "--processes=1")
    process.wait_for("  1 of 4  ")
    pids = [*family(process.popen.pid)]
    process.popen.kill()
    process.finish()
    wait_until(lambda: not any(map(is_running, pids)), "the end of all its processes")
    before = outcomes(tmp_path)
    assert 1 <= len(before) < 4
    again = ablate(tmp_path)
    assert again.finish() == 0, again.output
    assert f"{4 - len(before)} of 4 runs are left" in again.output
    assert outcomes(tmp_path)[: len(before)] == before
    assert comparable(outcomes(tmp_path)) == comparable(outcomes(undisturbed))
    assert_tracked(tmp_path)


def test_finished_ablation_is_shown_again_without_ray(undisturbed: Path, ablate: Start) -> None:
    known, (parent, _) = outcomes(undisturbed), tracked(undisturbed)
    again = ablate(undisturbed)
    assert again.finish() == 0, again.output
    assert "ablation tiny: 4 runs are done already" in again.output
    assert outcomes(undisturbed) == known
    assert tracked(undisturbed)[0].info.run_id == parent.info.run_id
    assert_tracked(undisturbed)


@pytest.mark.slow
def test_failed_run_is_named_and_the_others_are_kept(ablate: Start, tmp_path: Path) -> None:
    process = ablate(tmp_path, "--optim.lr=1e30", "--optim.clip=0", "--optim.warmup=0")
    assert process.finish() == 1, process.output
    lines = process.output.splitlines()
    assert any(line.startswith("no mask, seed 2 failed: ") for line in lines)
    assert lines[-1].startswith("error: 4 of 4 runs failed, the first of them ")
    assert "Traceback" not in process.output
    parent, children = tracked(tmp_path)
    assert parent.info.status == "FAILED" and not children


@pytest.mark.slow
def test_cluster_that_loses_a_node_trains_all_runs(ablate: Start, tmp_path: Path) -> None:
    env = {"RAY_AUTH_MODE": "disabled"}
    nodes = RayNodes(tmp_path / "nodes.log", env, num_cpus=1, include_dashboard=False)
    try:
        node = nodes.add(num_cpus=1)
        process = ablate(tmp_path, "--optim.epochs=60", env=env | {"RAY_ADDRESS": nodes.address})
        process.wait_for("  1 of 4  ")
        nodes.kill(node)
        assert process.finish() == 0, process.output
    finally:
        nodes.stop()
    assert "4 of 4 runs are left, 2 side by side" in process.output
    assert_tracked(tmp_path)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_interrupt_ends_all_processes(
    number: signal.Signals, ablate: Start, tmp_path: Path
) -> None:
    process = ablate(tmp_path, "--optim.epochs=9999")
    process.wait_for("4 of 4 runs are left")
    pids = [*family(process.popen.pid)]
    process.popen.send_signal(number)
    assert process.finish(120) == 130, process.output
    assert process.output.splitlines()[-1] == "interrupted."
    assert "Traceback" not in process.output
    wait_until(lambda: not any(map(is_running, pids[1:])), "the end of all its processes")
    assert tracked(tmp_path)[0].info.status == "KILLED"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--variants=[no legs]",), "Unknown variant 'no legs'; known are all, no mask"),
        (("--seeds=[1,1]",), "each given once, but seeds are [1, 1]"),
        (("--data.store=/nowhere",), "/nowhere"),
        (("--out={}/films.csv",), "give another file"),
        (("--workspace=/proc/none",), "The workspace /proc/none cannot be written"),
        (("--processes=0",), "processes must be at least 1"),
    ],
)
def test_bad_input_is_one_line(
    ablate: Start, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "films.csv").write_text("sample_id,label\na,wave\n")
    process = ablate(tmp_path, *(each.replace("{}", str(tmp_path)) for each in arguments))
    assert process.finish(120) == 2, process.output
    assert message in process.output and len(process.output.splitlines()) == 1, process.output


def test_missing_store_is_one_line(run_script: Start) -> None:
    for phase in ("phase1", "phase2"):
        process = run_script("ablate.py", phase)
        assert process.finish(120) == 2
        assert process.output == (
            "error: --data.store is missing: give a store that `hhmnet prepare` made.\n"
        )
