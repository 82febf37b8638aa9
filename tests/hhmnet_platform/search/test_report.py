"""Files of a search: every trial, the best config, and plots."""

import json
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution

from hhmnet_platform.search.report import (
    finished_trials,
    report_files,
    trial_epochs,
    trial_seconds,
)

SPACE: dict[str, Any] = {"contrast.temperature": FloatDistribution(0.1, 0.5, log=True)}
PNG = b"\x89PNG"


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))


def tell(study: optuna.Study, value: float, epochs: int = 4) -> None:
    trial = study.ask(SPACE)
    for name, attribute in (("epochs", epochs), ("seconds", 61.0), ("run", f"run-{trial.number}")):
        trial.set_user_attr(name, attribute)
    study.tell(trial, value)


def test_files_hold_every_finished_trial(study: optuna.Study) -> None:
    tell(study, 0.5, epochs=2)
    study.tell(study.ask(SPACE), state=optuna.trial.TrialState.FAIL)
    tell(study, 0.75)
    trials = finished_trials(study)
    assert [(trial_epochs(each), trial_seconds(each)) for each in trials] == [(2, 61.0), (4, 61.0)]
    files = report_files(study, b"best", ("contrast.temperature",), epochs=4)
    assert set(files) == {"best.yaml", "trials.json", "slices.png"}
    assert files["best.yaml"] == b"best" and files["slices.png"].startswith(PNG)
    first, second = json.loads(files["trials.json"])
    assert (first["val_top1"], first["epochs"], first["run"]) == (0.5, 2, "run-0")
    assert second["values"] == study.best_params


def test_importance_is_drawn_from_four_different_trials_on(study: optuna.Study) -> None:
    for _ in range(5):
        tell(study, 0.5)
    assert "importance.png" not in report_files(study, b"", ("contrast.temperature",), 4)
    tell(study, 0.75)
    files = report_files(study, b"", ("contrast.temperature",), 4)
    assert files["importance.png"].startswith(PNG)
