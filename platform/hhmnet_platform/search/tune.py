"""Searches what a phase is trained with: Optuna's TPE suggests, ASHA stops what is hopeless.

Each trial is a whole run of the phase under Ray Train, with its own folder and its own place in
MLflow, below the search's. The study lives in a file of the workspace: killed and started again, a
search goes on with the trials that are left, and those that were under way go on from their last
checkpoint, since equal configs are one run.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.cluster.session import cluster_address, ray_session, this_machine
from hhmnet_platform.figures.progress import clock
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.runs.launch import check_nodes_of, run_phase
from hhmnet_platform.runs.phases import phase_of
from hhmnet_platform.runs.resolve import resolve_run, resolve_store
from hhmnet_platform.runs.run import Run
from hhmnet_platform.search.config import (
    METRIC,
    Search,
    about,
    best_config,
    study_name,
    trial_job,
)
from hhmnet_platform.search.display import SearchDisplay, format_values
from hhmnet_platform.search.report import epochs_of, files_of, finished, seconds_of
from hhmnet_platform.search.space import Dimension, distributions
from hhmnet_platform.search.study import open_study
from hhmnet_platform.search.trials import catch_up, run_trial
from hhmnet_platform.storage.run_folder import exclusive_folder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, check_name, default_workspace
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.derived_runs import (
    DerivedRun,
    begin_derived_run,
    finish_derived_run,
    kill_running_children,
)
from hhmnet_platform.tracking.uri import default_tracking

if TYPE_CHECKING:
    import optuna


def run_search(job: Search) -> dict[str, Any]:
    """Searches, or goes on searching; writes best.yaml, plots and a run of MLflow.

    Returns:
        The best values of the space.

    Raises InputError for anything the user can cause.
    """
    if job.study:
        check_name(job.study)
    if job.name:
        raise InputError("--name is of one run, and each trial is one: name the --study.")
    if job.data.selection != "val":
        raise InputError("A search chooses by val: give data.selection val.")
    space = distributions(trial_job(job, {}), job.space)
    workspace = Workspace(absolute_uri(job.workspace))
    if not workspace.is_local:
        raise InputError(f"A search needs a folder: {workspace.uri} cannot be --workspace here.")
    if job.dry_run:
        print(
            f"search      {job.trials} trials over {', '.join(job.space)}, of {job.grace} to "
            f"{_epochs(job)} epochs; a whole one:",
            flush=True,
        )
        run_phase(trial_job(job, {}))
        return {}
    if not cluster_address():
        phase_of(job).plan_mesh(job, this_machine())
    workspace.check_writable()
    with resolve_store(job, workspace, keep=True) as store:
        job = apply_overrides(job, {"data.store": store})
        first = resolve_run(trial_job(job, {}), workspace, store)
    job = replace(job, study=study_name(job, first))
    place = Path(workspace.at(f"searches/{job.study}"))
    place.mkdir(parents=True, exist_ok=True)
    with exclusive_folder(place, f"The study {job.study} is being searched by another process"):
        return _search(job, space, first, place)


def _search(job: Search, space: Mapping[str, Any], first: Run, place: Path) -> dict[str, Any]:
    study = open_study(job.study, place, about(job, first))
    parent = DerivedRun(
        experiment=first.tracked.experiment,
        name=job.study,
        tags={tags.PHASE: "search", tags.DATA_DIGEST: first.tracked.digest},
        params={f"space/{name}": _said(each) for name, each in job.space.items()},
        metrics={},
        note=_note(job, study),
        files={},
    )
    uri = Workspace(absolute_uri(job.workspace)).tracking_uri(job.tracking_uri)
    tracked = begin_derived_run(uri, parent, first.tracked.artifacts)
    left = job.trials - len(finished(study))
    if left > 0:
        with ray_session(dashboard=True) as resources:
            check_nodes_of(trial_job(job, {}), first)
            print(f"search {job.study}: {left} of {job.trials} trials are left", flush=True)
            try:
                _tune(job, space, study, left, tracked.run_id, resources)
            finally:
                kill_running_children(uri, tracked)
    else:
        print(f"search {job.study}: {len(finished(study))} trials are done already")
    catch_up(job, study, tracked.run_id)
    best, done = study.best_trial, finished(study)
    head = f"The best of {len(done)} trials of {job.study}: val top-1 {study.best_value:.1%}."
    files = files_of(study, best_config(job, best.params, head), tuple(job.space), _epochs(job))
    for name, content in files.items():
        folder(str(place)).write(name, content)
    metrics = {
        f"best/{METRIC}": study.best_value,
        "trials": float(len(done)),
        "seconds": sum(seconds_of(trial) for trial in done),
    }
    done_parent = replace(parent, metrics=metrics, note=_note(job, study), files=files)
    finish_derived_run(uri, tracked, done_parent)
    for line in _table(study):
        print(line)
    print(f"Best     val top-1 {study.best_value:.1%}: {format_values(best.params)}")
    print(f"Cost     {clock(metrics['seconds'])} of trials, {len(done)} of them")
    print(f"Train    {_command(job, place)}")
    print(f"MLflow   {uri}, experiment {parent.experiment}: {tracked.page}")
    return dict(best.params)


def _tune(
    job: Search,
    space: Mapping[str, Any],
    study: "optuna.Study",
    trials: int,
    parent: str,
    resources: Resources,
) -> None:
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new one ignores verbose=0
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # Ctrl-C ends the whole command
    # A trial that ASHA stops ends, and lets go of its workers, only when it is killed; until then
    # it has time to tell MLflow.
    os.environ.setdefault("TUNE_FORCE_TRIAL_CLEANUP_S", "10")
    import optuna
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    plan, epochs = phase_of(job).plan_mesh(job, resources), _epochs(job)
    search = _searcher()(
        dict(space),
        metric=METRIC,
        mode="max",
        sampler=optuna.samplers.TPESampler(seed=job.seed + len(finished(study))),
        study_name=job.study,
        storage=study._storage,
    )
    # The driver needs no core of its own, and sits where nothing is taken away.
    trial = tune.with_resources(
        tune.with_parameters(run_trial, job=job, plan=plan, parent=parent),
        {"node:__internal_head__": 0.001},
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
                    max_t=epochs + 1,  # a whole trial ends by itself
                    grace_period=min(job.grace, epochs),
                    reduction_factor=job.reduction,
                ),
                num_samples=trials,
                max_concurrent_trials=_side_by_side(plan, resources),
            ),
            run_config=tune.RunConfig(
                name=f"tune-{int(time.time())}",
                storage_path=absolute_uri(f"{job.workspace}/searches/{job.study}"),
                callbacks=[_teller(display)],
                verbose=0,
            ),
        )
        results = tuner.fit()
    if results.errors:
        said = " ".join(str(results.errors[0]).split())[-300:]
        raise SystemExit(f"error: {len(results.errors)} trials failed, the first with: {said}")


def _searcher() -> Any:
    """Optuna's searcher, that also notes how far a trial came; one that broke is no result."""
    from ray.tune.search.optuna import OptunaSearch

    class Searcher(OptunaSearch):
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


def _side_by_side(plan: MeshPlan, resources: Resources) -> int:
    """Trials whose workers fit at once, so that none waits for another's."""
    room = resources.room(plan.cpus_per_worker, plan.gpu)
    return max(1, room // plan.workers)


def _teller(display: SearchDisplay) -> Any:
    """Tells the display what Tune sees."""
    from ray import tune

    class Teller(tune.Callback):
        def __init__(self, display: SearchDisplay) -> None:
            self.display = display

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune keeps its callbacks in a file; a terminal cannot be

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

    return Teller(display)


def _command(job: Search, place: Path) -> str:
    """That trains the best config, where the trials are."""
    options = {"config": f"{place}/best.yaml"} | phase_of(job).command_options(job)
    if job.workspace != default_workspace():
        options["workspace"] = absolute_uri(job.workspace)
    if job.tracking_uri != default_tracking():
        options["tracking_uri"] = job.tracking_uri
    said = " ".join(f"--{name} {value}" for name, value in options.items())
    return f"python experiments/{job.phase}.py {said}"


def _epochs(job: Search) -> int:
    return job.epochs or job.optim.epochs


def _table(study: "optuna.Study") -> list[str]:
    best = sorted(finished(study), key=lambda trial: -(trial.value or 0.0))[:5]
    rows = [f"  {t.value:.1%}  {epochs_of(t):>3} epochs  {format_values(t.params)}" for t in best]
    return [f"the best of {len(finished(study))}:", *rows]


def _note(job: Search, study: "optuna.Study") -> str:
    names = ", ".join(job.space)
    best = ""
    if finished(study):
        best = (
            f" Best so far: val top-1 {study.best_value:.1%}, {format_values(study.best_params)}."
        )
    return (
        f"A search of {job.trials} trials over {names}, by val top-1 of the "
        f"{phase_of(job).objective} (TPE, ASHA with {job.grace} epochs of grace).{best}\n\nTo read it: select the trials "
        f"below, Compare, Parallel Coordinates, with the parameters {names} and the metric "
        "val/top1."
    )


def _said(dimension: Dimension) -> str:
    if dimension.choices:
        return f"one of {dimension.choices}"
    return f"{dimension.low} to {dimension.high}{', log' if dimension.log else ''}"
