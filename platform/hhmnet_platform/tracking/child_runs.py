"""Finished trials of an ablation as MLflow runs below its own run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import open_for_writing
from hhmnet_platform.tracking.derived_runs import DerivedRunId
from hhmnet_platform.tracking.environment import source_tags
from hhmnet_platform.tracking.queries import runs_with_tag

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class ChildRun:
    """The content of an MLflow run for a finished trial.

    Attributes:
        key: Key of the trial among those of its ablation.
        name: Name shown in MLflow.
        tags: Tags beside its key and its parent.
        params: Values by which it differs from the others.
        metrics: Its results.
        seconds: Duration shown in MLflow.
    """

    key: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    seconds: float


class ChildRunWriter:
    """Writes each finished trial of an ablation once, whichever command has trained it.

    Args:
        uri: MLflow tracking URI.
        ablation: Name of the ablation.
        parent: Its MLflow run.
    """

    def __init__(self, uri: str, ablation: str, parent: DerivedRunId) -> None:
        self._uri, self._ablation, self._parent = uri, ablation, parent
        self._finished: set[str] | None = None  # keys; None before MLflow was asked
        self._begun: dict[str, str] = {}  # MLflow ids by key, of runs that a kill left unfinished

    def write(self, children: Sequence[ChildRun]) -> None:
        """Write the trials that MLflow lacks. Raises InputError where it cannot be written to."""
        with open_for_writing(self._uri) as client:
            if self._finished is None:
                self._look_up(client)
            for child in children:
                if child.key not in (self._finished or ()):
                    self._write(client, child)

    def _look_up(self, client: "MlflowClient") -> None:
        """Learn what MLflow holds; list below the parent what is below a deleted one."""
        finished = set()
        experiment = self._parent.experiment_id
        for run in runs_with_tag(client, experiment, tags.ABLATION, self._ablation):
            key = run.data.tags.get(tags.TRIAL, "")
            if run.data.tags.get(tags.MLFLOW_PARENT) != self._parent.run_id:
                client.set_tag(run.info.run_id, tags.MLFLOW_PARENT, self._parent.run_id)
            if run.info.status == "FINISHED":
                finished.add(key)
            else:
                self._begun[key] = run.info.run_id
        self._finished = finished

    def _write(self, client: "MlflowClient", child: ChildRun) -> None:
        from mlflow.entities import Metric, Param

        assert self._finished is not None
        now = int(1000 * time.time())
        run_id = self._begun.get(child.key) or self._create(client, child, now)
        client.log_batch(
            run_id,
            metrics=[Metric(key, value, now, 0) for key, value in child.metrics.items()],
            params=[Param(key, str(value)) for key, value in child.params.items()],
        )
        client.set_terminated(run_id)
        self._finished.add(child.key)

    def _create(self, client: "MlflowClient", child: ChildRun, end: int) -> str:
        """Create the run of a trial that ended at a time, in milliseconds; return its MLflow id."""
        own_tags = {
            tags.PHASE: "ablation_trial",
            tags.ABLATION: self._ablation,
            tags.TRIAL: child.key,
            tags.MLFLOW_PARENT: self._parent.run_id,
        }
        all_tags = {**source_tags(), **child.tags, **own_tags}
        made = client.create_run(
            self._parent.experiment_id, end - int(1000 * child.seconds), all_tags, child.name
        )
        return str(made.info.run_id)
