"""Writing a run to MLflow: a parent run for its phase, a child run for each trained member.

Only the driver writes. Every checkpoint and report holds the whole history, of which the driver
writes the metrics that MLflow lacks: an unreachable server loses nothing, and nothing is written
twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hhmnet_core.errors import InputError
from hhmnet_core.notices import StepProgress
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.members import COLOURS, FUSION
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.artifacts import upload
from hhmnet_platform.tracking.client import exclusive, exclusive_client
from hhmnet_platform.tracking.datasets import dataset_input
from hhmnet_platform.tracking.experiments import ensure_experiment, restore_command
from hhmnet_platform.tracking.metric_names import tracked_metrics
from hhmnet_platform.tracking.models import TrackedModel, log_model
from hhmnet_platform.tracking.queries import is_deleted, runs_with_tag
from hhmnet_platform.tracking.tables import table_content, tables_tag
from hhmnet_platform.tracking.tracked_run import Ending, NodeSample, TrackedRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

Item = TypeVar("Item")

MAX_METRICS, MAX_PARAMS = 1000, 100  # MLflow's limits for one request
UNFINISHED = "This run has not finished. The command under Source starts it, or resumes it."
# Their axis is that of steps, which the charts by epoch do not share.
STEPS_LOSS, STEPS_SPEED = "progress/loss", "progress/clips_per_second"


@dataclass(frozen=True)
class TimedSteps:
    """Progress within an epoch, and its time as from `time.time()`."""

    time: float
    progress: StepProgress


class MlflowWriter:
    """Writes one run. Every method raises where MLflow fails, and may then be called again."""

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        # The parent first, since the children refer to it; MLflow lists the newest on top.
        self._creation_order = tuple(reversed(run.members))
        self.run_ids: dict[str, str] = {}
        self.experiment_id = ""
        self.model: TrackedModel | None = None  # known after `finish` of a run with a model
        self._client: MlflowClient | None = None
        self._written: dict[str, set[tuple[str, int]]] = {}  # (metric, epoch) by member
        self._start_times: dict[str, int] = {}  # milliseconds by member

    def connect(self) -> None:
        """Find the MLflow runs or create them, and look up which metrics they hold.

        Raises InputError where MLflow holds another run of this name, or where the experiment or
        the search that the run belongs to is in MLflow's trash.
        """
        with exclusive_client(self.run.uri) as client:
            name, artifacts = self.run.experiment, self.run.artifacts
            self.experiment_id = ensure_experiment(client, name, artifacts)
            self._refuse_deleted_search(client)
            known = self._find(client)
            self._refuse_other_run(known.values())
            for member in self._creation_order:
                self._take_up(client, member, known.get(member) or self._create(client, member))
            self._describe(client)
            self._client = client
        if not self.run.parent:
            import mlflow.pyfunc  # noqa: F401  # takes a second: now, not when the run ends

    @property
    def is_connected(self) -> bool:
        return self._client is not None

    def disconnect(self) -> None:
        """Drop the connection after a failure; `connect` looks up again what MLflow holds."""
        self._client = None

    def write(self, history: Sequence[EpochRecord]) -> None:
        """Write every metric of the history that MLflow lacks."""
        assert self._client is not None
        for member in self._creation_order:
            for batch in _batches(self._missing_metrics(member, history), MAX_METRICS):
                with exclusive(self.run.uri):
                    self._client.log_batch(self.run_ids[member], metrics=batch)
                self._written[member] |= {(metric.key, metric.step) for metric in batch}

    def write_usage(self, samples: Sequence[NodeSample]) -> None:
        """Write the use of nodes to the parent, where MLflow's page of system metrics shows it."""
        from mlflow.entities import Metric

        metrics = [
            Metric(f"system/{each.host}/{name}", value, each.timestamp, each.epoch)
            for each in samples
            for name, value in each.used.items()
        ]
        self._write_to_parent(metrics)

    def write_steps(self, points: Sequence[TimedSteps]) -> None:
        """Write loss and speed within epochs to the parent run, by the steps of all epochs.

        Steps that are trained again after a failure are left out.
        """
        from mlflow.entities import Metric

        written = self._written[FUSION]
        last = max((step for name, step in written if name == STEPS_LOSS), default=0)
        metrics = [
            Metric(name, value, int(1000 * point.time), point.progress.steps_of_all_epochs)
            for point in points
            if point.progress.steps_of_all_epochs > last
            for name, value in (
                (STEPS_LOSS, point.progress.loss),
                (STEPS_SPEED, point.progress.clips_per_second),
            )
        ]
        self._write_to_parent(metrics)
        written |= {(metric.key, metric.step) for metric in metrics}

    def _write_to_parent(self, metrics: Sequence["Metric"]) -> None:
        assert self._client is not None
        for batch in _batches(metrics, MAX_METRICS):
            with exclusive(self.run.uri):
                self._client.log_batch(self.run_ids[FUSION], metrics=batch)

    def finish(self, ending: Ending) -> None:
        """Write the artifacts and the model, and end the MLflow runs."""
        assert self._client is not None
        for member, run_id in self.run_ids.items():
            tables = ending.tables.get(member, {})
            content = {path: table_content(table) for path, table in tables.items()}
            upload(self._client, run_id, {**ending.files.get(member, {}), **content})
        with exclusive(self.run.uri):
            self._finish_pages(self._client, ending)
            if ending.model:
                parent = self.run_ids[FUSION]
                self.model = log_model(self._client, self.experiment_id, parent, ending.model)
            for run_id in self.run_ids.values():
                for key, value in ending.tags.items():
                    self._client.set_tag(run_id, key, value)
                self._client.set_terminated(run_id, ending.status)

    def _finish_pages(self, client: "MlflowClient", ending: Ending) -> None:
        """Write tags of tables, notes in place of `UNFINISHED`, and params that MLflow lacks."""
        for member, run_id in self.run_ids.items():
            held = client.get_run(run_id).data
            own_tags = tables_tag(ending.tables.get(member, {}))
            note = held.tags.get(tags.MLFLOW_NOTE, UNFINISHED)
            if member in ending.notes and note == UNFINISHED:  # another one is the user's
                own_tags[tags.MLFLOW_NOTE] = ending.notes[member]
            for key, value in own_tags.items():
                client.set_tag(run_id, key, value)
            if member == FUSION:
                for key, param in ending.params.items():
                    if key not in held.params:
                        client.log_param(run_id, key, param)

    def _refuse_deleted_search(self, client: "MlflowClient") -> None:
        """Raise InputError where the search's run, the parent of this one, is in the trash."""
        if self.run.parent and is_deleted(client, self.run.parent):
            raise InputError(
                f"The run of the search was deleted in MLflow at {self.run.uri}, and no trial is "
                f"listed below a deleted run: restore it, `{restore_command(client, 'runs')} "
                f"--run-id {self.run.parent}`, or give the search's command again when it has "
                "ended, which makes another one."
            )

    def _find(self, client: "MlflowClient") -> dict[str, "Run"]:
        """Return the MLflow runs of this run by member."""
        known: dict[str, Run] = {}
        # The newest first, and the oldest kept: should there be two, both drivers choose the same.
        for run in runs_with_tag(client, self.experiment_id, tags.RUN, self.run.name):
            known[run.data.tags.get(tags.MODALITY, "")] = run
        return known

    def _refuse_other_run(self, known: Iterable["Run"]) -> None:
        """Raise InputError where the name is taken by another run: MLflow never changes params."""
        params = {key: str(value) for key, value in self.run.params.items()}
        for run in known:
            held = run.data.params
            if differing := [key for key in params if held.get(key, params[key]) != params[key]]:
                raise InputError(
                    f"MLflow at {self.run.uri} holds a run {self.run.name} with another "
                    f"{', '.join(differing)}: delete that run there, with its child runs, or train "
                    "under another --name."
                )

    def _create(self, client: "MlflowClient", member: str) -> "Run":
        own_tags = {tags.RUN: self.run.name, tags.MODALITY: member, tags.MLFLOW_NOTE: UNFINISHED}
        title = self.run.title or self.run.name
        if member != FUSION:
            title = f"{member} · {self.run.name}"
        if parent := self._parent_of(member):
            own_tags[tags.MLFLOW_PARENT] = parent
        if member != FUSION:  # MLflow gives parents and trials colours that differ
            own_tags[tags.MLFLOW_COLOUR] = COLOURS[member]
        return client.create_run(self.experiment_id, tags=own_tags, run_name=title)

    def _parent_of(self, member: str) -> str:
        """Return the MLflow id of the run that a member is listed under. "" for none."""
        return self.run.parent if member == FUSION else self.run_ids[FUSION]

    def _take_up(self, client: "MlflowClient", member: str, known: "Run") -> None:
        """Record which metrics an MLflow run holds, and set its status to RUNNING.

        A run whose parent was deleted since is listed under the one in its place. A trial stays
        where it is, below another search that drew the same values or by itself.
        """
        run_id = known.info.run_id
        parent, held = self._parent_of(member), known.data.tags.get(tags.MLFLOW_PARENT, "")
        is_own = member != FUSION or (bool(held) and is_deleted(client, held))
        if parent and held != parent and is_own:
            client.set_tag(run_id, tags.MLFLOW_PARENT, parent)
        self.run_ids[member] = run_id
        self._start_times[member] = known.info.start_time
        self._written[member] = {
            (key, metric.step)
            for key in known.data.metrics
            if not key.startswith("system/")
            for metric in client.get_metric_history(run_id, key)
        }
        if known.info.status != "RUNNING":
            client.update_run(run_id, status="RUNNING")

    def _describe(self, client: "MlflowClient") -> None:
        """Write params, tags and data sets. MLflow accepts equal values a second time."""
        from mlflow.entities import Param, RunTag

        params = [Param(key, str(value)) for key, value in self.run.params.items()]
        own_tags = {**self._source_of_search(client), **self.run.tags}
        run_tags = [RunTag(key, value) for key, value in own_tags.items()]
        run = self.run
        datasets = [
            dataset_input(run.dataset, run.store, run.has_video, split) for split in run.splits
        ]
        for run_id in self.run_ids.values():
            for batch in _batches(params, MAX_PARAMS):
                client.log_batch(run_id, params=batch)
            client.log_batch(run_id, tags=run_tags)
            client.log_inputs(run_id, datasets=datasets)

    def _source_of_search(self, client: "MlflowClient") -> dict[str, str]:
        """Return the command of the search that a trial belongs to: Ray started the trial's own."""
        if not self.run.parent:
            return {}
        held = client.get_run(self.run.parent).data.tags
        names = (tags.MLFLOW_SOURCE, tags.MLFLOW_SOURCE_TYPE)
        return {name: held[name] for name in names if name in held}

    def _missing_metrics(self, member: str, history: Sequence[EpochRecord]) -> list["Metric"]:
        """Return the metrics of a member that MLflow lacks, each timed at the end of its epoch."""
        from mlflow.entities import Metric

        missing: list[Metric] = []
        seconds = 0.0
        for record in history:
            seconds += record.seconds
            timestamp = self._start_times[member] + int(1000 * seconds)
            missing += [
                Metric(name, value, timestamp, record.epoch)
                for name, value in tracked_metrics(record.metrics.get(member, {})).items()
                if (name, record.epoch) not in self._written[member]
            ]
        return missing


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))
