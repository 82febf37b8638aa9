"""Trials side by side under Ray Tune: Optuna's TPE suggests values, ASHA stops trials early."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hhmnet_core.passwords import one_line
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.ray_private import HEAD
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.runs.phases import phase_of
from hhmnet_platform.search.config import METRIC, Search, complete_epochs
from hhmnet_platform.search.display import SearchDisplay
from hhmnet_platform.search.report import finished_trials
from hhmnet_platform.search.storage import StudyStorage
from hhmnet_platform.search.trials import run_trial
from hhmnet_platform.storage.workspace import absolute_uri

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


def tune_trials(
    job: Search,
    space: Mapping[str, "BaseDistribution"],
    study: "optuna.Study",
    storage: StudyStorage,
    trials: int,
    parent: str,
    resources: Resources,
) -> None:
    """Run a number of trials to their end.

    Args:
        job: The search.
        space: Distributions of the searched fields.
        study: The study, which gets the results.
        storage: Its storage.
        trials: Number of trials.
        parent: MLflow id of the search's run.
        resources: Resources that trials share.

    Ends the process where trials failed.
    """
    # A trial that ASHA stops ends, and releases its workers, only when it is killed; until then it
    # has time to write to MLflow.
    os.environ.setdefault("TUNE_FORCE_TRIAL_CLEANUP_S", "10")
    import optuna
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    plan, epochs = phase_of(job).plan_mesh(job, resources), complete_epochs(job)
    search = searcher_type()(
        dict(space),
        metric=METRIC,
        mode="max",
        sampler=optuna.samplers.TPESampler(seed=job.seed + len(finished_trials(study))),
        study_name=job.study,
        storage=storage.backend,
    )
    # A trial's driver needs no core, but has to be on the head node, which is never removed.
    trial = tune.with_resources(
        tune.with_parameters(run_trial, job=replace(job, storage=""), plan=plan, parent=parent),
        {HEAD: 0.001},
    )
    with SearchDisplay(epochs) as display:
        tuner = tune.Tuner(
            trial,
            tune_config=tune.TuneConfig(
                metric=METRIC,
                mode="max",
                search_alg=search,
                scheduler=ASHAScheduler(
                    time_attr="epoch",
                    max_t=epochs + 1,  # a complete trial ends by itself
                    grace_period=min(job.grace, epochs),
                    reduction_factor=job.reduction,
                ),
                num_samples=trials,
                max_concurrent_trials=max_concurrent_trials(plan, resources),
            ),
            run_config=tune.RunConfig(
                name=f"tune-{int(time.time())}",
                storage_path=absolute_uri(f"{job.workspace}/searches/{job.study}"),
                callbacks=[display_callback(display)],
                verbose=0,
            ),
        )
        results = tuner.fit()
    if results.errors:
        reason = one_line(results.errors[0])[-300:]
        raise SystemExit(f"error: {len(results.errors)} trials failed, the first with: {reason}")


def searcher_type() -> Any:
    """Return Ray's Optuna searcher, which also records a trial's length and ignores failures.

    Tune writes its searchers to files to restore them, with the password of a database. Here the
    study is what a search continues from, so nothing is written.
    """
    from ray.tune.search.optuna import OptunaSearch

    class Searcher(OptunaSearch):
        def __getstate__(self) -> dict[str, Any]:
            return {}

        def save(self, checkpoint_path: str) -> None:
            pass

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            if result and not error:
                trial = self._ot_trials[trial_id]
                trial.set_user_attr("epochs", result["epoch"])
                trial.set_user_attr("seconds", round(result["time_total_s"], 1))
                trial.set_user_attr("run", result["run"])
            super().on_trial_complete(trial_id, None if error else result, error)

    return Searcher


def max_concurrent_trials(plan: MeshPlan, resources: Resources) -> int:
    """Return the number of trials whose workers fit at once, so that none waits for another."""
    room = resources.capacity(plan.cpus_per_worker, plan.gpu)
    return max(1, room // plan.workers)


def display_callback(display: SearchDisplay) -> Any:
    """Return a callback that shows trials on a display."""
    from ray import tune

    class DisplayCallback(tune.Callback):
        def __init__(self, display: SearchDisplay) -> None:
            self.display = display

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune pickles its callbacks; a terminal cannot be pickled

        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            self.display.started(trial.trial_id, trial.config)

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: Any, **_: Any
        ) -> None:
            self.display.reported(trial.trial_id, result)

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            self.display.ended(trial.trial_id)

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            self.display.ended(trial.trial_id, error=True)

    return DisplayCallback(display)
