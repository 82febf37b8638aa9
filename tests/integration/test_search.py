"""A search over phase 1: what it leaves behind, and how it resumes and stops."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from processes import each_once, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Start = Callable[..., Any]
EXPERIMENT = "films/cross-view"
RECIPE = {
    "study": "tiny",
    "trials": 2,
    "grace": 1,
    "reduction": 2,
    "space": {
        "contrast.temperature": {"low": 0.03, "high": 0.5, "log": True},
        "optim.lr": {"choices": [0.001, 0.004]},
    },
    "model": {"widths": [16, 16], "heads": 2, "embedding": 16},
    "data": {"frames": 16},
    "optim": {"epochs": 3, "batch": 8},
    "workers": 1,
    "cpus_per_worker": 1,
}


@pytest.fixture(scope="module")
def search(run_script: Start, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """`search(workspace, "--trials=3")`: a small search."""
    recipe = tmp_path_factory.mktemp("search") / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE))

    def run(workspace: Path, *more: str) -> Any:
        options = (f"--config={recipe}", f"--data.store={data}", f"--workspace={workspace}")
        return run_script("search.py", *each_once(*options, *more))

    return run


def trials(workspace: Path) -> list[optuna.trial.FrozenTrial]:
    journal = str(workspace / "searches" / "tiny" / "study.journal")
    storage = JournalStorage(JournalFileBackend(journal))
    return optuna.load_study(study_name="tiny", storage=storage).trials


def completed(workspace: Path) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in trials(workspace) if trial.state.name == "COMPLETE"]


def assert_best_is_written(workspace: Path) -> None:
    """best.yaml, the plots and trials.json of the study are those of its trials."""
    folder, finished = workspace / "searches" / "tiny", completed(workspace)
    best = max(finished, key=lambda trial: trial.value or 0)
    config = yaml.safe_load((folder / "best.yaml").read_text())
    assert config["contrast"]["temperature"] == best.params["contrast.temperature"]
    assert config["optim"]["lr"] == best.params["optim.lr"]
    assert (folder / "slices.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((folder / "trials.json").read_text())
    assert len(written) == len(finished)
    assert {trial["run"] for trial in written} <= {
        run.name for run in (workspace / "runs").iterdir()
    }


def assert_tracked(workspace: Path) -> None:
    """MLflow holds the search, and below it each trial once, with every epoch."""
    written = json.loads((workspace / "searches" / "tiny" / "trials.json").read_text())
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    number = client.get_experiment_by_name(EXPERIMENT).experiment_id
    (parent,) = client.search_runs([number], "tags.`hhmnet.phase` = 'search'")
    best = max(trial.value for trial in completed(workspace) if trial.value is not None)
    assert parent.data.metrics["best/val_top1"] == best
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = client.search_runs([number], below)
    assert len(children) == len({child.data.tags["hhmnet.run"] for child in children})
    assert len(children) == len(written)
    assert {child.info.status for child in children} <= {"FINISHED", "KILLED"}
    epochs = {trial["run"]: trial["epochs"] for trial in written}
    for child in children:
        assert "contrast.temperature" in child.data.params
        points = client.get_metric_history(child.info.run_id, "val/top1")
        seen = sorted(point.step for point in points)
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) >= epochs[child.data.tags["hhmnet.run"]]  # of stopped trials too


@pytest.fixture(scope="module")
def searched(search: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of a finished search of two trials."""
    workspace = tmp_path_factory.mktemp("searched")
    process = search(workspace)
    assert process.finish() == 0, process.output
    assert "2 of 2 trials are left" in process.output
    return workspace


def test_search_writes_the_best_config_its_plots_and_mlflow_runs(searched: Path) -> None:
    assert len(completed(searched)) == 2
    assert_best_is_written(searched)
    assert_tracked(searched)


def test_finished_search_trains_nothing_more(searched: Path, search: Start) -> None:
    again = search(searched)
    assert again.finish() == 0, again.output
    assert "starting Ray" not in again.output and "2 trials" in again.output
    assert len(completed(searched)) == 2
    assert_tracked(searched)


def test_study_is_not_resumed_with_another_config(searched: Path, search: Start) -> None:
    other = search(searched, "--optim.epochs=2")
    assert other.finish() == 2
    assert "The study tiny exists with another optim.epochs: give" in other.output


@pytest.mark.slow
def test_killed_search_resumes_loses_no_trial_and_can_be_extended(
    search: Start, tmp_path: Path
) -> None:
    process = search(tmp_path, "--trials=3")
    process.wait_for(r"^trial +1 ")
    process.popen.kill()
    process.finish()
    before = completed(tmp_path)
    assert 1 <= len(before) < 3
    again = search(tmp_path, "--trials=3")
    assert again.finish() == 0, again.output
    assert f"{3 - len(before)} of 3 trials are left" in again.output
    after = completed(tmp_path)
    assert len(after) == 3
    assert [trial.params for trial in after[: len(before)]] == [t.params for t in before]
    assert len({trial.params["contrast.temperature"] for trial in after}) == 3  # none twice
    assert_best_is_written(tmp_path)
    assert_tracked(tmp_path)
    more = search(tmp_path, "--trials=4")
    assert more.finish() == 0, more.output
    assert "1 of 4 trials are left" in more.output
    assert len(completed(tmp_path)) == 4


@pytest.mark.slow
def test_stopped_search_marks_its_trials(search: Start, tmp_path: Path) -> None:
    process = search(tmp_path, "--epochs=9000")  # still running when the signal comes
    process.wait_for(r"trials are left")
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")

    def with_metrics() -> list[Any]:
        experiment = client.get_experiment_by_name(EXPERIMENT)
        runs = client.search_runs([experiment.experiment_id]) if experiment else []
        return [run for run in runs if "val/top1" in run.data.metrics]

    wait_until(with_metrics, "a trial's first epoch", 200)
    process.popen.send_signal(signal.SIGTERM)
    assert process.finish(120) == 130, process.output
    assert process.output.splitlines()[-1] == "interrupted."
    assert "Traceback" not in process.output and "the best of" not in process.output
    assert {run.info.status for run in with_metrics()} == {"KILLED"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--name=mine",), "Use --study to name"),
        (("--data.selection=literature",), "A search selects on the validation split"),
        (("--space={contrast.temprature: {low: 0.1, high: 0.5}}",), "is not a field of the config"),
        (("--reduction=1",), "reduction must be 2 to 1000"),
        (("--gpu=true",), "--gpu true was given, but this machine has"),
        (("--workspace=memory://workspace",), "needs a local --workspace folder"),
    ],
)
def test_bad_input_is_one_line(
    search: Start, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    process = search(tmp_path, *options)
    assert process.finish(120) == 2, process.output
    lines = [line for line in process.output.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: ") and message in lines[0], lines
    assert not (tmp_path / "searches").exists()
