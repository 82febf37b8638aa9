"""A search over phase 1: whole and stopped trials, a kill in the middle, what it leaves behind."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
Start = Callable[..., Any]
SEARCH = Path(__file__).parents[2] / "experiments" / "search.py"
RECIPE = {
    "study": "tiny",
    "trials": 3,
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
def search(start: Start, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))

    def run(workspace: Path, *more: str) -> Any:
        given = (f"--config={folder / 'tiny.yaml'}", f"--data.store={data}")
        return start(sys.executable, SEARCH, *given, f"--workspace={workspace}", *more)

    return run


def trials(workspace: Path) -> list[optuna.trial.FrozenTrial]:
    journal = str(workspace / "searches" / "tiny" / "study.journal")
    storage = JournalStorage(JournalFileBackend(journal))
    return optuna.load_study(study_name="tiny", storage=storage).trials


def test_killed_search_goes_on_and_loses_no_trial(search: Start, tmp_path: Path) -> None:
    process = search(tmp_path)
    process.wait_for(r"^trial +1 ")
    process.popen.kill()
    process.finish()
    before = [trial for trial in trials(tmp_path) if trial.state.name == "COMPLETE"]
    assert 1 <= len(before) < 3
    again = search(tmp_path)
    assert again.finish() == 0, again.output
    assert f"{3 - len(before)} of 3 trials are left" in again.output
    done = [trial for trial in trials(tmp_path) if trial.state.name == "COMPLETE"]
    assert len(done) == 3
    assert [trial.params for trial in done[: len(before)]] == [t.params for t in before]
    temperatures = [trial.params["contrast.temperature"] for trial in done]
    assert len(set(temperatures)) == 3  # none twice
    place = tmp_path / "searches" / "tiny"
    best = max(done, key=lambda trial: trial.value or 0)
    config = yaml.safe_load((place / "best.yaml").read_text())
    assert config["contrast"]["temperature"] == best.params["contrast.temperature"]
    assert config["optim"]["lr"] == best.params["optim.lr"]
    assert (place / "slices.png").read_bytes().startswith(b"\x89PNG")
    told = json.loads((place / "trials.json").read_text())
    assert {trial["run"] for trial in told} <= {run.name for run in (tmp_path / "runs").iterdir()}

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    number = client.get_experiment_by_name("synthetic/cross-subject").experiment_id
    (parent,) = client.search_runs([number], "tags.`hhmnet.phase` = 'search'")
    assert parent.data.metrics["best/val_top1"] == best.value
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = client.search_runs([number], below)
    assert len(children) == len({child.data.tags["hhmnet.run"] for child in children}) == 3
    assert {child.info.status for child in children} <= {"FINISHED", "KILLED"}
    epochs = {trial["run"]: trial["epochs"] for trial in told}
    for child in children:
        assert "contrast.temperature" in child.data.params
        points = client.get_metric_history(child.info.run_id, "val/top1")
        seen = sorted(point.step for point in points)
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) >= epochs[child.data.tags["hhmnet.run"]]  # of stopped trials too

    more = search(tmp_path, "--trials=4")
    assert more.finish() == 0, more.output
    assert "1 of 4 trials are left" in more.output
    assert len([t for t in trials(tmp_path) if t.state.name == "COMPLETE"]) == 4
    other = search(tmp_path, "--optim.epochs=2")
    assert other.finish() == 2
    assert "The study tiny exists with another optim.epochs: give" in other.output


@pytest.mark.slow
def test_stopped_search_says_so_and_marks_its_trials(
    search: Start, wait: Callable[..., None], tmp_path: Path
) -> None:
    process = search(tmp_path, "--epochs=900")  # not at its end before the signal comes
    process.wait_for(r"trials are left")
    database = tmp_path / "mlflow.db"
    client = MlflowClient(f"sqlite:///{database}")

    def told() -> list[Any]:
        experiment = client.get_experiment_by_name("synthetic/cross-subject")
        runs = client.search_runs([experiment.experiment_id]) if experiment else []
        return [run for run in runs if "val/top1" in run.data.metrics]

    wait(lambda: bool(told()), "a trial's first epoch", 200)
    process.popen.send_signal(signal.SIGTERM)
    assert process.finish(90) == 130, process.output
    assert process.output.splitlines()[-1] == "interrupted."
    assert "Traceback" not in process.output and "the best of" not in process.output
    assert {run.info.status for run in told()} == {"KILLED"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--name=mine",), "name the --study"),
        (("--data.selection=literature",), "A search chooses by val"),
        (("--space={contrast.temprature: {low: 0.1, high: 0.5}}",), "is no field of the config"),
        (("--reduction=1",), "reduction must be at least 2"),
        (("--gpu=true",), "--gpu true was given, but this machine has"),
        (("--workspace=memory://there",), "needs a folder"),
    ],
)
def test_bad_input_is_one_line(
    search: Start, tmp_path: Path, given: tuple[str, ...], said: str
) -> None:
    process = search(tmp_path, *given)
    assert process.finish(120) == 2, process.output
    lines = [line for line in process.output.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0], lines
    assert not (tmp_path / "searches").exists()
