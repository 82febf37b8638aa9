"""Trials of an ablation: what a trial reports, and what becomes of it on the driver."""

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from ray import tune

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation import tune as module
from hhmnet_platform.ablation.grid import Task
from hhmnet_platform.ablation.outcomes import Outcome, Scores
from hhmnet_platform.ablation.tune import (
    ATTEMPTS,
    PROCESS_ENDED,
    end_callback,
    run_trial,
    tune_runs,
)

TASKS = [Task(name, "", Phase1Config()) for name in ("all", "no mask")]
OUTCOME = Outcome(
    "all", 1, {}, "", {"joint": 0.5}, {"joint": 1.5},
    knock_outs={"mask off": Scores({"joint": 0.25}, {"joint": 2.0})},
)  # fmt: skip


def trial(number: int) -> SimpleNamespace:
    return SimpleNamespace(config={"number": number})


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    reports: list[dict[str, Any]] = []
    monkeypatch.setattr(tune, "report", reports.append)
    return reports


def test_trial_reports_the_outcome_of_its_own_run(reported: list[dict[str, Any]]) -> None:
    trained: list[Task[Any]] = []

    def train(task: Task[Any]) -> Outcome:
        trained.append(task)
        return OUTCOME

    run_trial({"number": 1}, train, TASKS)
    assert trained == [TASKS[1]] and reported == [{"outcome": asdict(OUTCOME)}]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(InputError("A loss\nis NaN."), "A loss is NaN."), (KeyError("x"), "KeyError: 'x'")],
)
def test_trial_that_fails_reports_why_and_a_bug_prints_its_traceback(
    reported: list[dict[str, Any]],
    error: Exception,
    reason: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def train(task: Task[Any]) -> Outcome:
        raise error

    run_trial({"number": 0}, train, TASKS)
    assert reported == [{"failure": reason}]
    assert ("Traceback" in capfd.readouterr().err) == isinstance(error, KeyError)


def test_each_end_is_told_with_its_run() -> None:
    ends: list[tuple[str, Outcome | str]] = []
    lost: list[Task[Any]] = []
    callback = end_callback(
        TASKS, lambda task, outcome: ends.append((task.variant, outcome)), lost.append
    )
    callback.on_trial_result(1, [], trial(0), {"outcome": asdict(OUTCOME), "time_total_s": 1.0})
    callback.on_trial_result(2, [], trial(1), {"failure": "A loss is NaN."})
    callback.on_trial_error(3, [], trial(0))  # its process ended after it had reported
    assert ends == [("all", OUTCOME), ("no mask", "A loss is NaN.")] and not lost
    assert callback.__getstate__() == {}  # Tune pickles callbacks, files cannot be
    callback.on_step_end(4, [])


def test_run_whose_process_ends_within_its_training_is_lost() -> None:
    lost: list[Task[Any]] = []
    end_callback(TASKS, pytest.fail, lost.append).on_trial_error(1, [], trial(1))
    assert lost == TASKS[1:]


def test_what_cannot_be_recorded_ends_all_trials_with_its_own_error() -> None:
    error = AccessError("The disk is full.")

    def on_end(task: Task[Any], outcome: Outcome | str) -> None:
        raise error

    callback = end_callback(TASKS, on_end, pytest.fail)
    callback.on_trial_result(1, [], trial(0), {"outcome": asdict(OUTCOME)})  # Tune would wrap it
    with pytest.raises(AccessError) as raised:
        callback.on_step_end(1, [])
    assert raised.value is error


def test_run_whose_process_ends_is_trained_again_and_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds: list[list[str]] = []

    def tune_once(train: Any, tasks: list[Task[Any]], side_by_side: int, on_end: Any) -> Any:
        rounds.append([task.variant for task in tasks])
        if len(rounds) == 2:
            on_end(TASKS[0], OUTCOME)
        return tasks if len(rounds) == 1 else TASKS[1:]

    monkeypatch.setattr(module, "_tune_once", tune_once)
    ends: list[tuple[str, Outcome | str]] = []
    tune_runs(pytest.fail, TASKS, 2, lambda task, outcome: ends.append((task.variant, outcome)))
    assert rounds == [["all", "no mask"]] * 2 + [["no mask"]] * (ATTEMPTS - 2)
    assert ends == [("all", OUTCOME), ("no mask", PROCESS_ENDED)]
