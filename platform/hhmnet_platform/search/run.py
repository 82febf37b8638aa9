"""Searching the fields of a phase: from a job to a study, its best config and its MLflow run.

Each trial is a run of the phase under Ray Train, with its own folder and its own place in MLflow,
below the search's. The study is a file of the workspace, or in a database. A search that was killed
continues with the remaining trials, and trials that were running resume from their last checkpoint,
since equal configs are one run.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from hhmnet_core.checks.names import check_name
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.passwords import without_password
from hhmnet_core.store.protocols import VAL
from hhmnet_platform.cluster.ray_environment import cluster_address
from hhmnet_platform.cluster.resources import local_resources
from hhmnet_platform.cluster.session import ray_session
from hhmnet_platform.figures.progress import clock
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.presentation.labels import markdown
from hhmnet_platform.runs.launch import check_nodes_of, run_phase
from hhmnet_platform.runs.phases import phase_of
from hhmnet_platform.runs.resolve import resolve_run, resolve_store
from hhmnet_platform.runs.run import Run
from hhmnet_platform.search.config import (
    METRIC,
    Search,
    best_config,
    best_job,
    complete_epochs,
    study_identity,
    study_name,
    trial_job,
)
from hhmnet_platform.search.display import format_values
from hhmnet_platform.search.report import (
    finished_trials,
    report_files,
    trial_epochs,
    trial_seconds,
)
from hhmnet_platform.search.space import Dimension, Values, distributions
from hhmnet_platform.search.storage import StudyStorage, open_storage, storage_errors
from hhmnet_platform.search.study import open_study
from hhmnet_platform.search.trials import complete_tracking
from hhmnet_platform.search.tune import tune_trials
from hhmnet_platform.storage.run_folder import exclusive_folder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri, default_workspace
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
    from optuna.distributions import BaseDistribution

NUM_LISTED = 5


def run_search(job: Search) -> Values:
    """Search, or continue a search; write best.yaml, plots and an MLflow run.

    Returns:
        The best values of the searched fields, and the number of epochs of a whole run.

    Raises InputError for anything the user can cause.
    """
    if job.study:
        check_name(job.study, "study name")
    if job.name:
        raise InputError(
            "--name applies to a single run; a search has many. Use --study to name the search."
        )
    if job.data.selection != VAL:
        raise InputError("A search selects on the validation split: give --data.selection val.")
    space = distributions(trial_job(job, {}), job.space)
    workspace = Workspace(absolute_uri(job.workspace))
    if not workspace.is_local:
        raise InputError(f"A search needs a local --workspace folder, but got {workspace.uri}.")
    workspace.tracking_uri(job.tracking_uri)
    if job.dry_run:
        with resolve_store(job, workspace, keep=False) as store:
            epochs = resolve_run(trial_job(job, {}), workspace, store).config.optim.epochs
        print(
            f"search      {job.trials} trials over {', '.join(job.space)}, of {job.grace} to "
            f"{epochs} epochs; a complete trial:",
            flush=True,
        )
        run_phase(trial_job(job, {}))
        return {}
    if not cluster_address():
        phase_of(job).plan_mesh(job, local_resources())
    workspace.check_writable()
    with resolve_store(job, workspace, keep=True) as store:
        first = resolve_run(trial_job(job, {}), workspace, store)
        # The batch may be searched; whatever it is, a run has as many epochs as by the config.
        epochs = resolve_run(best_job(job, {}), workspace, store).config.optim.epochs
        job = apply_overrides(job, {"data.store": store, "optim.epochs": epochs})
    job = replace(job, study=study_name(job, first))
    path = Path(workspace.derived("searches", job.study))
    path.mkdir(parents=True, exist_ok=True)
    with exclusive_folder(path, f"The study {job.study} is being searched by another process"):
        storage = open_storage(job.storage, path)
        with storage_errors(storage):
            return _search(job, space, first, path, storage)


def _search(
    job: Search,
    space: Mapping[str, "BaseDistribution"],
    first: Run,
    path: Path,
    storage: StudyStorage,
) -> Values:
    """Run the remaining trials of a study, and publish the search."""
    study = open_study(job.study, storage, study_identity(job, first), first.identity)
    derived = DerivedRun(
        experiment=first.tracked.experiment,
        name=job.study,
        tags={tags.PHASE: "search", tags.DATA_DIGEST: first.tracked.digest},
        params={f"space/{name}": _format_dimension(each) for name, each in job.space.items()},
        metrics={},
        note=_note(job, study),
        files={},
    )
    uri = Workspace(absolute_uri(job.workspace)).tracking_uri(job.tracking_uri)
    tracked = begin_derived_run(uri, derived, first.tracked.artifacts)
    num_done = len(finished_trials(study))
    if num_done < job.trials:
        left = job.trials - num_done
        with ray_session(dashboard=True, log_workers=job.log_workers) as resources:
            check_nodes_of(trial_job(job, {}), first)
            print(f"search {job.study}: {left} of {job.trials} trials are left", flush=True)
            try:
                tune_trials(job, space, study, storage, left, tracked.run_id, resources)
            finally:
                kill_running_children(uri, tracked)
    else:
        print(f"search {job.study}: {num_done} trials are done already")
    complete_tracking(job, study, tracked.run_id)
    derived = replace(
        derived,
        metrics=_metrics(study),
        note=_note(job, study),
        files=_write_report(job, study, path),
    )
    finish_derived_run(uri, tracked, derived)
    _print_best(job, study, path)
    shown = without_password(uri)
    print(f"MLflow   {shown}, experiment {derived.experiment}: {tracked.page}")
    return {**study.best_params, "optim.epochs": job.optim.epochs}


def _metrics(study: "optuna.Study") -> dict[str, float]:
    trials = finished_trials(study)
    return {
        f"best/{METRIC}": study.best_value,
        "trials": float(len(trials)),
        "seconds": sum(map(trial_seconds, trials)),
    }


def _write_report(job: Search, study: "optuna.Study", path: Path) -> dict[str, bytes]:
    """Write the best config, the trials and plots; return them by file name."""
    head = (
        f"The best of {len(finished_trials(study))} trials of {job.study}: val top-1 "
        f"{study.best_value:.1%}."
    )
    best = best_config(job, study.best_params, head)
    files = report_files(study, best, tuple(job.space), complete_epochs(job))
    for name, content in files.items():
        folder(str(path)).write(name, content)
    return files


def _print_best(job: Search, study: "optuna.Study", path: Path) -> None:
    """Print the best trials, their cost, and the command that trains the best config."""
    trials = finished_trials(study)
    print(f"the best of {len(trials)}:")
    for trial in sorted(trials, key=lambda each: -(each.value or 0.0))[:NUM_LISTED]:
        values = format_values(trial.params)
        print(f"  {trial.value:.1%}  {trial_epochs(trial):>3} epochs  {values}")
    print(f"Best     val top-1 {study.best_value:.1%}: {format_values(study.best_params)}")
    print(f"Cost     {clock(sum(map(trial_seconds, trials)))} in {len(trials)} trials")
    print(f"Train    {_training_command(job, path)}")


def _training_command(job: Search, path: Path) -> str:
    """Return the command that trains the best config in the workspace of the trials."""
    options = {"config": f"{path}/best.yaml"} | phase_of(job).command_options(job)
    if job.workspace != default_workspace():
        options["workspace"] = absolute_uri(job.workspace)
    if job.tracking_uri != default_tracking():
        options["tracking_uri"] = job.tracking_uri
    arguments = " ".join(
        f"--{name} {quote(without_password(value))}" for name, value in options.items()
    )
    return f"hhmnet train {job.phase} {arguments}"


def _note(job: Search, study: "optuna.Study") -> str:
    """Return the Markdown that MLflow shows on top of the search's page."""
    names = ", ".join(job.space)
    best = ""
    if finished_trials(study):
        values = markdown(format_values(study.best_params))
        best = f" Best so far: val top-1 {study.best_value:.1%}, {values}."
    return (
        f"A search of {job.trials} trials over {names}, by val top-1 of the "
        f"{phase_of(job).objective} (TPE, ASHA with {job.grace} epochs of grace).{best}\n\nTo "
        f"compare trials: select them below, Compare, Parallel Coordinates, with the parameters "
        f"{names} and the metric val/top1."
    )


def _format_dimension(dimension: Dimension) -> str:
    if dimension.choices:
        return f"one of {dimension.choices}"
    return f"{dimension.low} to {dimension.high}{', log' if dimension.log else ''}"
