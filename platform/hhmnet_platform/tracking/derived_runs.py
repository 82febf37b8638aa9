"""MLflow runs made from other runs: fusions, ensembles, searches and ablations."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hhmnet_platform.members import FUSION
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.artifacts import upload
from hhmnet_platform.tracking.client import open_for_writing
from hhmnet_platform.tracking.environment import source_tags
from hhmnet_platform.tracking.experiments import ensure_experiment, find_experiment
from hhmnet_platform.tracking.metric_names import tracked_metrics
from hhmnet_platform.tracking.queries import is_deleted, runs_with_tag
from hhmnet_platform.tracking.tables import Table, table_content, tables_tag
from hhmnet_platform.tracking.uri import run_page

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MAX_TAG_LENGTH = 5000  # characters, MLflow's limit


@dataclass(frozen=True)
class DerivedRun:
    """The content of an MLflow run for a fusion, an ensemble, a search or an ablation.

    Attributes:
        experiment: Name of the experiment, that of the runs it is made from.
        name: Name, unique within the experiment: a run of the same name is replaced.
        tags: Tags beside its name.
        params: Settings that it was made with.
        metrics: Its results.
        note: Markdown at the top of its page.
        files: Contents by artifact path.
        tables: Tables by artifact path.
    """

    experiment: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    note: str
    files: Mapping[str, bytes]
    tables: Mapping[str, Table] = field(default_factory=dict)


@dataclass(frozen=True)
class DerivedRunId:
    """MLflow ids of a derived run and of its experiment."""

    experiment_id: str
    run_id: str

    @property
    def page(self) -> str:
        """The path of its page behind the address of MLflow's web server."""
        return run_page(self.experiment_id, self.run_id)


def replace_derived_run(uri: str, run: DerivedRun) -> str:
    """Write a finished run in place of those of its name, and return the path of its page.

    Raises InputError where MLflow cannot be written to.
    """
    with open_for_writing(uri) as client:
        experiment_id = ensure_experiment(client, run.experiment, "")
        for known in _runs_named(client, experiment_id, run.name):
            client.delete_run(known.info.run_id)
    made = begin_derived_run(uri, run)
    finish_derived_run(uri, made, run)
    return made.page


def begin_derived_run(uri: str, run: DerivedRun, artifacts: str = "") -> DerivedRunId:
    """Create a run, or take up the one of its name, and write its tags, params and note.

    Args:
        uri: MLflow tracking URI.
        run: The run; its metrics and files are written by `finish_derived_run`.
        artifacts: Folder or URI for the artifacts of a new experiment. "" leaves it to MLflow.

    Raises InputError where MLflow cannot be written to.
    """
    with open_for_writing(uri) as client:
        from mlflow.entities import Param, RunTag

        experiment_id = ensure_experiment(client, run.experiment, artifacts)
        known = _runs_named(client, experiment_id, run.name)
        made = known[0] if known else client.create_run(experiment_id, run_name=run.name)
        run_id = str(made.info.run_id)
        if not known:
            _adopt_trials(client, experiment_id, run.name, run_id)
        client.update_run(run_id, status="RUNNING")
        own_tags = {tags.DERIVED: run.name, tags.MLFLOW_NOTE: run.note}
        all_tags = {**source_tags(), **run.tags, **own_tags}
        client.log_batch(
            run_id,
            params=[Param(key, str(value)) for key, value in run.params.items()],
            tags=[RunTag(key, value[:MAX_TAG_LENGTH]) for key, value in all_tags.items()],
        )
        return DerivedRunId(experiment_id, run_id)


def finish_derived_run(
    uri: str, made: DerivedRunId, run: DerivedRun, status: str = "FINISHED"
) -> None:
    """Write metrics, note, files and tables of a run, and end it.

    Raises InputError where MLflow cannot be written to.
    """
    with open_for_writing(uri) as client:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [
            Metric(key, value, now, 0) for key, value in tracked_metrics(run.metrics).items()
        ]
        client.log_batch(made.run_id, metrics)
        own_tags = {tags.MLFLOW_NOTE: run.note[:MAX_TAG_LENGTH], **tables_tag(run.tables)}
        for key, value in own_tags.items():
            client.set_tag(made.run_id, key, value)
        content = {path: table_content(table) for path, table in run.tables.items()}
        upload(client, made.run_id, {**run.files, **content})
        client.set_terminated(made.run_id, status)


def end_derived_run(uri: str, made: DerivedRunId, status: str) -> None:
    """End a run without results. Raises InputError where MLflow cannot be written to."""
    with open_for_writing(uri) as client:
        client.set_terminated(made.run_id, status)


def check_can_track(uri: str) -> None:
    """Raise InputError where MLflow does not answer."""
    with open_for_writing(uri) as client:
        client.search_experiments(max_results=1)


def find_finished_page(uri: str, experiment: str, name: str) -> str | None:
    """Return the path of the page of a finished derived run; None where there is none.

    Raises InputError where MLflow does not answer.
    """
    with open_for_writing(uri) as client:  # opening an SQLite file may create it
        known = find_experiment(client, experiment)
        if known is None:
            return None
        for run in _runs_named(client, known.experiment_id, name):
            if run.info.status == "FINISHED":
                return run_page(known.experiment_id, run.info.run_id)
    return None


def kill_running_children(uri: str, parent: DerivedRunId) -> None:
    """End runs below a derived run that MLflow still shows as running, two levels down, as KILLED.

    Raises InputError where MLflow cannot be written to.
    """
    with open_for_writing(uri) as client:
        children = _runs_below(client, parent.experiment_id, parent.run_id)
        for child in children:
            below = _runs_below(client, parent.experiment_id, child.info.run_id)
            for run in [child, *below]:
                if run.info.status == "RUNNING":
                    client.set_terminated(run.info.run_id, "KILLED")


def _adopt_trials(client: "MlflowClient", experiment_id: str, study: str, run_id: str) -> None:
    """List the trials of a study below its run, those that are below a run that was deleted."""
    for trial in runs_with_tag(client, experiment_id, tags.SEARCH, study):
        parent = trial.data.tags.get(tags.MLFLOW_PARENT, "")
        if trial.data.tags.get(tags.MODALITY) == FUSION and parent and is_deleted(client, parent):
            client.set_tag(trial.info.run_id, tags.MLFLOW_PARENT, run_id)


def _runs_named(client: "MlflowClient", experiment_id: str, name: str) -> list["Run"]:
    return list(runs_with_tag(client, experiment_id, tags.DERIVED, name))


def _runs_below(client: "MlflowClient", experiment_id: str, run_id: str) -> list["Run"]:
    return list(runs_with_tag(client, experiment_id, tags.MLFLOW_PARENT, run_id))
