"""Runs of an ablation as trials of Ray Tune: a grid, each trial on one thread of one CPU.

Tune's own files are of no use afterwards: outcomes are what an ablation continues from. So they lie
in a temporary folder, which no other node needs, as trials have no checkpoints.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from tempfile import TemporaryDirectory
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.passwords import one_line
from hhmnet_platform.ablation.grid import Task
from hhmnet_platform.ablation.outcomes import Outcome

Train = Callable[[Task[Any]], Outcome]
OnEnd = Callable[[Task[Any], Outcome | str], None]
PROCESS_ENDED = "its process ended, as it does for lack of memory or when its node is lost"
_OUTCOME, _FAILURE = "outcome", "failure"


def tune_runs(train: Train, tasks: Sequence[Task[Any]], side_by_side: int, on_end: OnEnd) -> None:
    """Train runs on the Ray that has been started.

    Args:
        train: Function that trains a run in its process. It is pickled.
        tasks: The runs.
        side_by_side: Largest number of runs at a time.
        on_end: Called in this process with each run as it ends, and its outcome or the reason why
            it failed. What it raises ends all runs.
    """
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # of its own files
    from ray import tune

    trial = tune.with_parameters(run_trial, train=train, tasks=list(tasks))
    with TemporaryDirectory(prefix="hhmnet-tune-") as folder:
        tune.Tuner(
            tune.with_resources(trial, {"CPU": 1}),
            param_space={"number": tune.grid_search(list(range(len(tasks))))},
            tune_config=tune.TuneConfig(
                max_concurrent_trials=side_by_side,
                reuse_actors=True,  # a process takes seconds to import torch
            ),
            run_config=tune.RunConfig(
                name="ablation",
                storage_path=folder,
                callbacks=[end_callback(tasks, on_end)],
                verbose=0,
            ),
        ).fit()


def run_trial(config: dict[str, int], train: Train, tasks: Sequence[Task[Any]]) -> None:
    """Train a run as a trial, and report its outcome to Tune, or why it failed.

    Args:
        config: Number of the run among the tasks.
        train: Function that trains a run.
        tasks: All runs.
    """
    from ray import tune

    try:
        outcome = train(tasks[config["number"]])
    except Exception as error:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        tune.report({_FAILURE: f"{kind}{one_line(error)}"})
        raise
    tune.report({_OUTCOME: asdict(outcome)})


def end_callback(tasks: Sequence[Task[Any]], on_end: OnEnd) -> Any:
    """Return a callback of Tune that calls `on_end`."""
    from ray import tune

    class EndCallback(tune.Callback):
        def __init__(self) -> None:
            self._failed: set[int] = set()
            self._error: BaseException | None = None

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles its callbacks; files and connections cannot be pickled

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            if _FAILURE in result:
                self._fail(trial.config["number"], result[_FAILURE])
            else:
                self._end(trial.config["number"], from_json(Outcome, result[_OUTCOME]))

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            self._fail(trial.config["number"], PROCESS_ENDED)

        def on_step_end(self, iteration: int, trials: Any, **_: Any) -> None:
            if self._error:  # raised where the outcome comes, Tune would wrap it
                raise self._error

        def _fail(self, number: int, reason: str) -> None:
            if number not in self._failed:
                self._failed.add(number)
                self._end(number, reason)

        def _end(self, number: int, outcome: Outcome | str) -> None:
            try:
                on_end(tasks[number], outcome)
            except Exception as error:
                self._error = self._error or error

    return EndCallback()
