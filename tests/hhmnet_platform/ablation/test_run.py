"""An ablation's command: what it refuses, records, continues and reports."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_stores import write_small_store
from mlflow import MlflowClient
from mlflow.entities import Run

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.grid import Bench, Task, plan_runs
from hhmnet_platform.ablation.outcomes import Outcome
from hhmnet_platform.ablation.pages import DIFFERENCES
from hhmnet_platform.ablation.plan import Ablation, AblationOptions
from hhmnet_platform.ablation.run import IDENTITY, OUTCOMES, run_ablation
from hhmnet_platform.ablation.tables import summary
from hhmnet_platform.ablation.variants import phase1_ablation
from hhmnet_platform.tracking import tags


def made(store: str, **training: Any) -> Ablation:
    """Return an ablation of two variants and two seeds whose outcomes are made up."""
    config = Phase1Config(data=DataConfig(store=store))
    subject = phase1_ablation(config)

    def train(task: Task[Any]) -> Outcome:
        values = json.loads(json.dumps(subject.identity(task.config)))
        share = 0.5 + task.config.seed / 100 - len(task.variant) / 100
        scores = {"joint": share, "fusion": share + 0.1}
        losses = {name: 1 - value for name, value in scores.items()}
        digest = read_manifest(store).digest
        return Outcome(task.variant, task.config.seed, values, digest, scores, losses, seconds=6.0)

    subject = replace(subject, **({"train": train} | training))
    benches = [Bench("", config, [1, 2])]
    tasks = plan_runs(subject, benches, ["all", "no mask"])
    identity = {"phase": "phase1", "optim": {"epochs": 3}}
    return Ablation(subject, benches, tasks, identity, lambda outcomes: summary(subject, outcomes))


@pytest.fixture
def store(tmp_path: Path) -> str:
    write_small_store(tmp_path / "store")
    return str(tmp_path / "store")


@pytest.fixture
def options(workspace: Path) -> AblationOptions:
    return AblationOptions(workspace=str(workspace), tracking_uri="", name="mine")


def tracked(workspace: Path) -> tuple[Run, list[Run]]:
    """Return the run of the ablation, and those below it."""
    client = MlflowClient(f"sqlite:///{workspace}/mlflow.db")
    experiment = client.get_experiment_by_name("made/ablations")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags[tags.PHASE] == "ablation"]
    children = [run for run in runs if run is not parent]
    assert {run.data.tags[tags.MLFLOW_PARENT] for run in children} <= {parent.info.run_id}
    return parent, children


def test_finished_runs_are_recorded_tracked_and_not_trained_again(
    store: str,
    options: AblationOptions,
    workspace: Path,
    in_process: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ablation = made(store)
    run_ablation(ablation, options)
    file = workspace / "ablations" / "mine" / OUTCOMES
    lines = file.read_text().splitlines()
    assert len(in_process) == len(lines) == 4
    printed = capsys.readouterr().out
    assert "ablation mine: 4 of 4 runs are left, 2 side by side" in printed
    assert "  1 of 4  all, seed 1: joint 48.0  fusion 58.0, log-loss 0.420, 6 CPU s" in printed
    assert "| no mask | 2 | 54.5 | 0.455 | 6 | +0.040 ± 0.000 | -4.0 ± 0.0 |" in printed
    assert f"Outcomes {file}" in printed and "experiment made/ablations: #/exp" in printed
    parent, children = tracked(workspace)
    assert (parent.info.run_name, parent.info.status) == ("mine", "FINISHED")
    assert parent.data.params["optim.epochs"] == "3"
    assert "| no mask | 2 |" in parent.data.tags[tags.MLFLOW_NOTE]
    assert DIFFERENCES in parent.data.tags[tags.MLFLOW_TABLES]
    assert {run.info.run_name for run in children} == {task.label for task in ablation.tasks}
    assert {run.info.status for run in children} == {"FINISHED"}
    run_ablation(ablation, options)
    assert len(in_process) == 4 and file.read_text().splitlines() == lines
    assert "ablation mine: 4 runs are done already" in capsys.readouterr().out
    again, children = tracked(workspace)
    assert again.info.run_id == parent.info.run_id and len(children) == 4


def test_a_narrower_command_shows_and_keeps_all_that_is_known(
    store: str,
    options: AblationOptions,
    workspace: Path,
    in_process: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ablation = made(store)
    run_ablation(ablation, options)
    before = capsys.readouterr().out.partition("fusion, paired")[2].partition("Outcomes")[0]
    run_ablation(replace(ablation, tasks=ablation.tasks[1:2]), options)
    assert len(in_process) == 4
    assert capsys.readouterr().out.partition("fusion, paired")[2].startswith(before.rstrip())
    parent, children = tracked(workspace)
    assert parent.data.metrics["trials"] == len(children) == 4


def test_a_plan_is_refused_as_the_ablation_is(
    store: str, options: AblationOptions, in_process: list[str]
) -> None:
    ablation = made(store)
    run_ablation(ablation, options)
    other = replace(ablation, identity={"phase": "phase1", "optim": {"epochs": 4}})
    with pytest.raises(InputError, match=r"exists with another optim\.epochs"):
        run_ablation(other, replace(options, dry_run=True))


def test_outcomes_of_an_earlier_version_are_continued_and_tracked(
    store: str, options: AblationOptions, workspace: Path, in_process: list[str], tmp_path: Path
) -> None:
    ablation = made(store)
    outcome = ablation.subject.train(ablation.tasks[0])
    earlier = {name: getattr(outcome, name) for name in ("variant", "seed", "config", "digest")}
    out = tmp_path / "ablation.jsonl"
    out.write_text(json.dumps(earlier | {"top1": outcome.top1}) + "\n")
    run_ablation(ablation, replace(options, out=str(out)))
    assert len(in_process) == 3 and len(out.read_text().splitlines()) == 4
    assert not (workspace / "ablations" / "mine" / OUTCOMES).exists()
    assert len(tracked(workspace)[1]) == 4


def test_failed_run_is_named_and_trained_again(
    store: str,
    options: AblationOptions,
    workspace: Path,
    in_process: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ablation = made(store)
    good = ablation.subject.train

    def train(task: Task[Any]) -> Outcome:
        if task.key == ("no mask", "", 1):
            raise RuntimeError("A loss is NaN.")
        return good(task)

    with pytest.raises(SystemExit, match=r"1 of 4 runs failed, .* no mask, seed 1 \(A loss is NaN"):
        run_ablation(made(store, train=train), options)
    printed = capsys.readouterr().out
    assert "no mask, seed 1 failed: A loss is NaN." in printed
    assert "| no mask | 1 | 55.0 | 0.450 | 6 | +0.040 ± - | -4.0 ± - |" in printed
    parent, children = tracked(workspace)
    assert (parent.info.status, len(children)) == ("FAILED", 3)
    run_ablation(ablation, options)
    assert in_process[4:] == ["no mask, seed 1"]
    parent, children = tracked(workspace)
    assert (parent.info.status, len(children)) == ("FINISHED", 4)


def test_interrupted_ablation_keeps_what_has_finished(
    store: str,
    options: AblationOptions,
    workspace: Path,
    in_process: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ablation = made(store)
    good = ablation.subject.train

    def train(task: Task[Any]) -> Outcome:
        if len(in_process) == 3:
            raise KeyboardInterrupt
        return good(task)

    with pytest.raises(KeyboardInterrupt):
        run_ablation(made(store, train=train), options)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "2 of 4 runs are kept, the same command trains the others."
    parent, children = tracked(workspace)
    assert (parent.info.status, len(children)) == ("KILLED", 2)
    run_ablation(ablation, options)
    assert in_process[3:] == [task.label for task in ablation.tasks[2:]]


def test_workspace_may_be_a_bucket(store: str, workspace: Path, in_process: list[str]) -> None:
    ablation, uri = made(store), "memory://ablations-workspace"
    tracking = f"sqlite:///{workspace}/mlflow.db"
    MlflowClient(tracking).create_experiment("made/ablations", str(workspace / "artifacts"))
    options = AblationOptions(workspace=uri, tracking_uri=tracking, name="mine")
    run_ablation(ablation, options)
    run_ablation(ablation, options)
    assert len(in_process) == 4 and len(tracked(workspace)[1]) == 4


def test_plan_starts_and_writes_nothing(
    store: str,
    options: AblationOptions,
    workspace: Path,
    in_process: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = sorted(workspace.rglob("*"))
    run_ablation(made(store), replace(options, dry_run=True, processes=1))
    assert sorted(workspace.rglob("*")) == before and not in_process
    printed = capsys.readouterr().out
    assert "ablation    mine\nruns        4, of which 0 are in " in printed
    assert "left        4, 1 side by side; this machine has " in printed
    assert "time" not in printed


def test_same_name_with_another_config_is_refused(
    store: str, options: AblationOptions, workspace: Path, in_process: list[str]
) -> None:
    run_ablation(made(store), options)
    other = replace(made(store), identity={"phase": "phase1", "optim": {"epochs": 4}})
    with pytest.raises(InputError, match=r"The ablation mine exists with another optim\.epochs: "):
        run_ablation(other, options)
    (workspace / "ablations" / "mine" / IDENTITY).write_text("[]")
    with pytest.raises(InputError, match=r"ablation\.json in .* is not a JSON object: delete"):
        run_ablation(made(store), options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"processes": 0}, "processes must be at least 1, but is 0"),
        ({"name": "../mine"}, "cannot be used"),
        ({"out": "nowhere/out.jsonl"}, r"There is no folder .*nowhere for .*: make it first"),
        ({"workspace": "/proc/none"}, "workspace /proc/none cannot be written"),
        ({"tracking_uri": "file:///w/mlruns"}, "MLflow no longer tracks in a folder"),
    ],
)
def test_what_cannot_be_run_is_named_before_anything_is_trained(
    store: str,
    options: AblationOptions,
    in_process: list[str],
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(InputError, match=message):
        run_ablation(made(store), replace(options, **changes))
    assert not in_process


def test_file_that_cannot_be_written_is_named_before_anything_is_trained(
    store: str, options: AblationOptions, in_process: list[str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    for out in (str(tmp_path / "out"), "/dev/full"):
        with pytest.raises(InputError, match=rf"^{out} is not a regular file"):
            run_ablation(made(store), replace(options, out=out))
    assert not in_process
