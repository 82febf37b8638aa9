"""Fusion search and ensemble from the command line, on what a finished run left."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from hhmnet_core.skeleton.modalities import MODALITIES

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Start = Callable[..., Any]
EXPERIMENT = "films/cross-view"


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run and of MLflow's database, to write into."""
    (folder,) = (finished / "runs").iterdir()
    shutil.copytree(folder, tmp_path / "runs" / folder.name)
    shutil.copy(finished / "mlflow.db", tmp_path / "mlflow.db")
    return tmp_path


def uri(workspace: Path) -> str:
    return f"sqlite:///{workspace / 'mlflow.db'}"


def run_to_end(run_script: Start, script: str, *arguments: str) -> Any:
    process = run_script(script, *arguments)
    process.finish(240)
    return process


def test_fusion_search_writes_its_weightings_and_keeps_them(
    run_script: Start, workspace: Path
) -> None:
    (run,) = (folder.name for folder in (workspace / "runs").iterdir())
    given = (f"--workspace={workspace}", f"--runs=[{run}]", "--trials=2", "--evaluations=40")
    process = run_to_end(run_script, "search.py", "fusion", *given)
    assert process.returncode == 0, process.output
    for said in ("searched", "convex log-loss", "2 : 2 : 1 : 1", "80 weightings in"):
        assert said in process.output
    (folder,) = (workspace / "fusions").iterdir()
    found = json.loads((folder / "fusion.json").read_text())["fusions"]
    others = [fusion["val_top1"] for name, fusion in found.items() if "log-loss" in name]
    highest = found["highest top-1 on val"]["val_top1"]
    assert highest >= max(*others, found["equal"]["val_top1"], found["searched"]["val_top1"])
    chosen = json.loads((folder / "fusion.json").read_text())["basis"]["chosen"]
    assert chosen in ("equal", "fitted", "proposed") and "Chosen: " in process.output
    assert (found["searched"]["test_top1"] == found["equal"]["test_top1"]) or chosen != "equal"
    again = run_to_end(run_script, "search.py", "fusion", *given)
    assert again.returncode == 0, again.output
    assert json.loads((folder / "fusion.json").read_text())["fusions"] == found
    fixed = run_to_end(run_script, "fuse.py", f"--workspace={workspace}", f"--runs=[{run}]")
    assert fixed.returncode == 0, fixed.output
    (equal,) = (line for line in fixed.output.splitlines() if "equal" in line)
    assert f"{found['equal']['test_top1']:.1%}" in equal
    client = MlflowClient(uri(workspace))
    number = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (tracked,) = client.search_runs([number], "tags.`hhmnet.phase` = 'fusion'")
    assert tracked.data.metrics["best/val_top1"] == found["searched"]["val_top1"]
    assert "| searched |" in tracked.data.tags["mlflow.note.content"]


@pytest.mark.slow
def test_weights_are_fitted_out_of_fold_without_a_validation_split(
    run_script: Start, phase1: Start, tmp_path: Path
) -> None:
    whole = phase1(tmp_path, "--data.selection=literature", "--optim.epochs=1")
    assert whole.finish() == 0, whole.output
    (run,) = (folder.name for folder in (tmp_path / "runs").iterdir())
    given = (f"--workspace={tmp_path}", f"--runs=[{run}]", "--trials=1", "--evaluations=20")
    process = run_to_end(run_script, "search.py", "fusion", *given, "--folds=2")
    assert process.returncode == 0, process.output
    assert "fold 2 of 2" in process.output and "clips of val, out of fold," in process.output
    (folder,) = (tmp_path / "fusions").iterdir()
    said = json.loads((folder / "fusion.json").read_text())
    client = MlflowClient(uri(tmp_path))
    held_out = client.get_experiment_by_name(f"{EXPERIMENT} (folds)").experiment_id
    fold_runs = client.search_runs([held_out], "tags.`hhmnet.modality` = 'fusion'")
    assert sorted(run.data.tags["hhmnet.selection"] for run in fold_runs) == [
        "fold-1-of-2", "fold-2-of-2"
    ]  # fmt: skip
    result = json.loads((tmp_path / "runs" / run / "result.json").read_text())
    equal = said["fusions"]["equal"]["test_top1"]  # of the run itself, not of its fold_runs
    assert equal == pytest.approx(result["members"]["fusion"]["test_top1"])
    again = run_to_end(run_script, "search.py", "fusion", *given, "--folds=2")
    assert again.output.count("is complete") == 2, again.output
    assert "exists already: nothing was searched" in again.output
    without = run_to_end(run_script, "search.py", "fusion", *given)
    assert without.returncode == 2 and "or --folds; `hhmnet fuse`" in without.output


def test_ensemble_is_selected_from_the_runs_in_mlflow(run_script: Start, workspace: Path) -> None:
    client = MlflowClient(uri(workspace))
    number = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (parent,) = client.search_runs([number], "tags.`hhmnet.modality` = 'fusion'")
    tags = parent.data.tags | {"hhmnet.modality": "joint", "hhmnet.run": "films-phase1-cut"}
    kept = {key: value for key, value in tags.items() if key.startswith("hhmnet.")}
    client.create_run(number, tags=kept, run_name="running")
    unscored = client.create_run(number, tags=kept | {"hhmnet.run": "films-phase1-bare"})
    client.set_terminated(unscored.info.run_id)
    (run,) = (workspace / "runs").iterdir()
    shutil.copytree(run, workspace / "runs" / "away", ignore=lambda *_: ["tracked.json"])
    given = (f"--workspace={workspace}", f"--experiment={EXPERIMENT}")
    process = run_to_end(run_script, "ensemble.py", *given, "--selection.steps=5")
    assert process.returncode == 0, process.output
    assert "left out: films-phase1-cut/joint is running" in process.output
    assert "left out: films-phase1-bare/joint has no score tables" in process.output
    untracked = f"left out: away is finished in {workspace}, but MLflow does not hold all of it"
    assert untracked in process.output
    (folder,) = (workspace / "ensembles").iterdir()
    said = json.loads((folder / "ensemble.json").read_text())
    assert {member["member"] for member in said["members"]} <= set(MODALITIES)
    assert sum(member["weight"] for member in said["members"]) == pytest.approx(1)
    assert "<h2>Leaderboard</h2>" in (folder / "report.html").read_text()
    (tracked,) = client.search_runs([number], "tags.`hhmnet.phase` = 'ensemble'")
    assert tracked.data.metrics["test/top1"] == said["leaderboard"][0]["test_top1"]
    ids = {member["run_id"] for member in said["members"]}
    note = tracked.data.tags["mlflow.note.content"]
    assert all(f"(#/experiments/{number}/runs/{run_id}" in note for run_id in ids)
    assert set(json.loads(tracked.data.tags["hhmnet.members"])) == ids
    again = run_to_end(run_script, "ensemble.py", *given, "--selection.steps=5")
    assert f"{folder.name} exists already" in again.output
    (same,) = client.search_runs([number], "tags.`hhmnet.phase` = 'ensemble'")
    assert same.info.run_id == tracked.info.run_id
    names = {file.path for file in client.list_artifacts(tracked.info.run_id)}
    assert names == {"ensemble.json", "report.html"}


def test_lost_scores_and_databases_are_errors(
    run_script: Start, workspace: Path, tmp_path: Path
) -> None:
    (run,) = (workspace / "runs").iterdir()
    (run / "scores" / "joint-val.parquet").unlink()
    search = run_to_end(
        run_script, "search.py", "fusion", f"--workspace={workspace}", f"--runs=[{run.name}]"
    )
    assert search.returncode == 2 and "Traceback" not in search.output
    assert "has no readable scores of joint on val" in search.output
    assert "it is scored again" in search.output
    (run / "tracked.json").unlink()
    (workspace / "mlflow.db").unlink()
    given = (f"--workspace={workspace}", f"--experiment={EXPERIMENT}")
    process = run_to_end(run_script, "ensemble.py", *given)
    assert (
        f"has been tracked there. Check --workspace, or give --tracking_uri. {run.name} is fin"
        in (process.output)
    )
    elsewhere = tmp_path / "elsewhere"
    for content, said in ((None, "nothing has been tracked there"), ("x" * 999, "cannot answer")):
        if content:
            elsewhere.mkdir()
            (elsewhere / "mlflow.db").write_text(content)
        process = run_to_end(
            run_script, "ensemble.py", f"--workspace={elsewhere}", "--experiment=a/b"
        )
        assert process.returncode == 2, process.output
        assert said in process.output and "Traceback" not in process.output
        assert content or not elsewhere.exists()


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ("search.py", ("fusion",), "--runs is missing"),
        ("search.py", ("fusion", "--runs=[nothing]"), "does not exist. Give finished runs"),
        ("search.py", ("fusion", "--runs=[../x]"), "cannot be used"),
        ("search.py", ("fusion", "--runs=[x,x]"), "names x twice"),
        ("search.py", ("fusion", "--trials=0"), "trials must be 1 to"),
        ("search.py", ("fusion", "--seed=99999999999999999999"), "seed must be 0 to"),
        ("search.py", ("fusion", "--trails=3"), "trails"),
        ("search.py", ("fusion", "--folds=1"), "folds must be 2 to 100"),
        ("search.py", ("fusion", "--folds=2", "--runs=[nothing]"), "does not exist"),
        ("fuse.py", ("--runs=[nothing]",), "does not exist. Give finished runs"),
        ("ensemble.py", (), "--experiment is missing"),
        ("ensemble.py", ("--experiment=nothing",), "has no experiment 'nothing'; it has"),
        (
            "ensemble.py",
            (f"--experiment={EXPERIMENT}", "--filter=params.seed = '99'"),
            "that matches --filter \"params.seed = '99'\" to select from (no runs found)",
        ),
        ("ensemble.py", (f"--experiment={EXPERIMENT}", "--filter=seed >"), "cannot answer"),
        ("ensemble.py", (f"--experiment={EXPERIMENT}", "--selection.steps=0"), "steps"),
    ],
)
def test_bad_input_is_one_line(
    run_script: Start, workspace: Path, script: str, options: tuple[str, ...], message: str
) -> None:
    where = f"--workspace={workspace}"
    if script == "search.py":
        arguments = (options[0], where, *options[1:])
    else:
        arguments = (where, *options)
    process = run_to_end(run_script, script, *arguments)
    lines = [line for line in process.output.splitlines() if line.strip()]
    assert process.returncode == 2, process.output
    assert len(lines) == 1 and lines[0].startswith("error: ") and message in lines[0], lines
