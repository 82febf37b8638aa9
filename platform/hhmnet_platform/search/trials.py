"""Trials of a search: runs of the phase, below the search's run in MLflow."""

from dataclasses import replace
from typing import TYPE_CHECKING

from hhmnet_core.training.checkpoints import STATE_FILE, DamagedFileError, parse_summary
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs.config import Job
from hhmnet_platform.runs.launch import train_run
from hhmnet_platform.runs.phases import phase_of
from hhmnet_platform.runs.publish import publish
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.runs.result import ScoredRun
from hhmnet_platform.runs.run import Run
from hhmnet_platform.search.config import METRIC, Search, trial_job
from hhmnet_platform.search.display import format_values
from hhmnet_platform.search.report import finished_trials
from hhmnet_platform.search.space import Values
from hhmnet_platform.storage.checkpoints import is_checkpoint
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace, absolute_uri
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.background import BackgroundTracker
from hhmnet_platform.tracking.client import mlflow_errors
from hhmnet_platform.tracking.run_writer import MlflowWriter
from hhmnet_platform.tracking.tracked_run import Ending

if TYPE_CHECKING:
    import optuna


def run_trial(values: Values, job: Search, plan: MeshPlan, parent: str) -> None:
    """Train the phase with these values, and report val top-1 to Tune after each epoch.

    Args:
        values: Values of the searched fields.
        job: The search.
        plan: Workers of each trial.
        parent: MLflow id of the search's run.
    """
    from ray import tune

    trial, run = _trial(job, values, parent)

    objective = phase_of(job).objective

    def report(record: EpochRecord) -> None:
        top1 = record.metrics[objective]["val/top1"]
        tune.report({METRIC: top1, "epoch": record.epoch, "run": run.folder.name})

    train_run(trial, run, plan, report)


def complete_tracking(job: Search, study: "optuna.Study", parent: str) -> None:
    """Complete the MLflow runs of trials that ended while MLflow could not be reached.

    Raises InputError where it still cannot be reached.
    """
    for trial in finished_trials(study):
        _, run = _trial(job, trial.params, parent)
        result = run.folder.read_result()
        if result is None:
            with mlflow_errors(run.tracked.uri):
                writer = MlflowWriter(run.tracked)
                writer.connect()
                writer.write(_history(run.folder))
                writer.finish(Ending("KILLED", {}))
        elif not run.folder.is_tracked:
            publish(
                ScoredRun.read(run), result, BackgroundTracker(MlflowWriter(run.tracked), print)
            )


def _trial(job: Search, values: Values, parent: str) -> tuple[Job, Run]:
    """Return a trial as a job, and its run."""
    trial = trial_job(job, values)
    run = resolve_run(trial, Workspace(absolute_uri(job.workspace)), trial.data.store)
    all_tags = {**run.tracked.tags, tags.SEARCH: job.study}
    tracked = replace(run.tracked, parent=parent, tags=all_tags, title=format_values(values))
    return trial, replace(run, tracked=tracked)


def _history(run: RunFolder) -> list[EpochRecord]:
    """Return the history in the newest checkpoint of a run that was stopped."""
    for name in sorted(filter(is_checkpoint, run.files.names()), reverse=True):
        try:
            return parse_summary(run.sub(name).read(STATE_FILE)).progress.history
        except (FileNotFoundError, DamagedFileError):  # it was being written
            continue
    return []
