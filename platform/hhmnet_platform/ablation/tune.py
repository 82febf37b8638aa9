"""Runs of an ablation as trials of Ray Tune: a grid, each trial on one thread of one CPU.

Tune's own files are of no use afterwards: outcomes are what an ablation continues from. So they lie
in a temporary folder, which no other node needs, as trials have no checkpoints.
"""

import os
import traceback
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
ATTEMPTS = 4  # of a run whose process ends
PROCESS_ENDED = (
    f"its process ended in {ATTEMPTS} attempts, as it does for lack of memory or with its node"
)
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
    left = list(tasks)
    # Tune would try such a trial again, but not where a lost node fails two calls of it at once.
    for _ in range(ATTEMPTS):
        left = _tune_once(train, left, side_by_side, on_end)
        if not left:
            return
    for task in left:
        on_end(task, PROCESS_ENDED)


def _tune_once(
    train: Train, tasks: Sequence[Task[Any]], side_by_side: int, on_end: OnEnd
) -> list[Task[Any]]:
    """Train runs once; return those whose processes ended."""
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # of its own files
    from ray import tune

    lost: list[Task[Any]] = []
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
                callbacks=[end_callback(tasks, on_end, lost.append)],
                verbose=0,
            ),
        ).fit()
    return lost


def run_trial(config: dict[str, int], train: Train, tasks: Sequence[Task[Any]]) -> None:
    """Train a run as a trial, and report its outcome to Tune, or why it failed.

    A trial whose training fails ends as any other: Tune would train it again, in vain. It does so
    where the process ends.

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
        if kind:
            traceback.print_exc()  # which --log_workers shows
        tune.report({_FAILURE: f"{kind}{one_line(error)}"})
    else:
        tune.report({_OUTCOME: asdict(outcome)})


def end_callback(
    tasks: Sequence[Task[Any]], on_end: OnEnd, on_loss: Callable[[Task[Any]], object]
) -> Any:
    """Return a callback of Tune that calls `on_end`, and `on_loss` where a process ended."""
    from ray import tune

    class EndCallback(tune.Callback):
        def __init__(self) -> None:
            self._ended: set[int] = set()
            self._error: BaseException | None = None

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles its callbacks; files and connections cannot be pickled

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            failure, number = result.get(_FAILURE), trial.config["number"]
            self._ended.add(number)
            try:
                on_end(tasks[number], failure or from_json(Outcome, result[_OUTCOME]))
            except Exception as error:
                self._error = self._error or error

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            number = trial.config["number"]
            if number not in self._ended:  # else its process ended after its training
                on_loss(tasks[number])

        def on_step_end(self, iteration: int, trials: Any, **_: Any) -> None:
            if self._error:  # raised where the outcome comes, Tune would wrap it
                raise self._error

    return EndCallback()
