"""MLflow: a parent run a phase, a child run a modality, written by the driver alone.

Everything is written from the history, which every checkpoint and report carries, and only what
MLflow does not hold yet: so nothing is lost while a server is away, and nothing is there twice.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hhmnet_core.errors import InputError
from hhmnet_platform.members import COLOURS, FUSION
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import client_uri, exclusive, set_quiet_defaults

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Records = Sequence[Mapping[str, Any]]
MOST_METRICS, MOST_PARAMS = 1000, 100
DIGEST_LENGTH = 12  # MLflow takes 36 at most; the tags hold it whole


@dataclass(frozen=True)
class TrackedRun:
    """What MLflow is told of a run beside its metrics.

    Attributes:
        uri: Of MLflow's tracking.
        experiment: Its name.
        artifacts: Where a new experiment keeps its artifacts; "" leaves it to the server.
        name: The run's name.
        members: What it reports on, their fusion last: the parent, the others its children.
        params: The flat config.
        tags: On the parent and on every child.
        dataset: Its name.
        digest: Its digest.
        store: Where it lies.
        parent: The run of MLflow that it stands below; "" for none.
        title: What tells it from others below that parent; "" for its name.
    """

    uri: str
    experiment: str
    artifacts: str
    name: str
    members: tuple[str, ...]
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    dataset: str
    digest: str
    store: str
    parent: str = ""
    title: str = ""


@dataclass(frozen=True)
class Ending:
    """What is written once, when a run ends.

    Attributes:
        status: FINISHED, FAILED or KILLED.
        files: For each modality and "fusion": artifact path -> content.
        tags: What is only known now, on the parent and on every child.
    """

    status: str
    files: Mapping[str, Mapping[str, bytes]]
    tags: Mapping[str, str] = field(default_factory=dict)


class MlflowWriter:
    """Writes one run; every method raises where MLflow cannot be written, and can be repeated."""

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        # The parent first; and MLflow lists the newest on top.
        self._as_made = tuple(reversed(run.members))
        self.run_ids: dict[str, str] = {}
        self.experiment_id = ""
        self._client: MlflowClient | None = None
        self._written: dict[str, set[tuple[str, int]]] = {}
        self._started: dict[str, int] = {}

    def connect(self) -> None:
        """Finds the runs or makes them, and looks up what they hold."""
        set_quiet_defaults()
        from mlflow import MlflowClient

        with exclusive(self.run.uri):
            client = MlflowClient(tracking_uri=client_uri(self.run.uri))
            self.experiment_id = self._experiment(client)
            found = self._find(client)
            self._refuse_others(found.values())
            for member in self._as_made:
                known = found.get(member) or self._create(client, member)
                run_id = known.info.run_id
                self.run_ids[member] = run_id
                self._started[member] = known.info.start_time
                self._written[member] = {
                    (key, metric.step)
                    for key in known.data.metrics
                    for metric in client.get_metric_history(run_id, key)
                }
                if known.info.status != "RUNNING":
                    client.update_run(run_id, status="RUNNING")
            self._describe(client)
            self._client = client

    @property
    def connected(self) -> bool:
        return self._client is not None

    def disconnect(self) -> None:
        """After a failure: what MLflow holds is looked up again."""
        self._client = None

    def write(self, history: Records) -> None:
        """Writes every metric of the history that MLflow does not hold."""
        from mlflow.entities import Metric

        assert self._client is not None
        for member in self._as_made:
            missing: list[Metric] = []
            after = 0.0
            for record in history:
                after += record["seconds"]
                at = self._started[member] + int(1000 * after)
                missing += [
                    Metric(name, value, at, record["epoch"])
                    for name, value in record["metrics"].get(member, {}).items()
                    if (name, record["epoch"]) not in self._written[member]
                ]
            for batch in _batches(missing, MOST_METRICS):
                with exclusive(self.run.uri):
                    self._client.log_batch(self.run_ids[member], metrics=batch)
                self._written[member] |= {(metric.key, metric.step) for metric in batch}

    def finish(self, ending: Ending) -> None:
        """Writes the files, and ends the runs."""
        assert self._client is not None
        with tempfile.TemporaryDirectory() as folder:
            for member, files in ending.files.items():
                for name, content in files.items():
                    local = Path(folder, member, name)
                    local.parent.mkdir(parents=True, exist_ok=True)
                    local.write_bytes(content)
                if files:
                    self._client.log_artifacts(self.run_ids[member], str(Path(folder, member)))
        with exclusive(self.run.uri):
            for run_id in self.run_ids.values():
                for key, value in ending.tags.items():
                    self._client.set_tag(run_id, key, value)
                self._client.set_terminated(run_id, ending.status)

    def _experiment(self, client: "MlflowClient") -> str:
        from mlflow.exceptions import MlflowException

        name = self.run.experiment
        known = client.get_experiment_by_name(name)
        if known is None:
            try:
                return client.create_experiment(name, self.run.artifacts or None)
            except MlflowException:  # another driver was faster
                known = client.get_experiment_by_name(name)
                if known is None:
                    raise
        return str(known.experiment_id)

    def _find(self, client: "MlflowClient") -> dict[str, "Run"]:
        found: dict[str, Run] = {}
        # Oldest first, and the oldest kept: should there be two, both drivers choose the same.
        for run in client.search_runs(
            [self.experiment_id],
            filter_string=f"tags.`{tags.RUN}` = '{self.run.name}'",
            order_by=["attributes.start_time ASC"],
        ):
            found.setdefault(run.data.tags.get(tags.MODALITY, ""), run)
        return found

    def _refuse_others(self, found: Iterable["Run"]) -> None:
        """Raises InputError where the name is another run's: MLflow never changes a param."""
        said = {key: str(value) for key, value in self.run.params.items()}
        for run in found:
            known = run.data.params
            if differing := [key for key in said if known.get(key, said[key]) != said[key]]:
                raise InputError(
                    f"MLflow at {self.run.uri} holds a run {self.run.name} with another "
                    f"{', '.join(differing)}: delete that one there, with the runs below it, or "
                    "train under another --name."
                )

    def _create(self, client: "MlflowClient", member: str) -> "Run":
        own_tags = {tags.RUN: self.run.name, tags.MODALITY: member}
        name = self.run.title or self.run.name
        if member != FUSION:
            name = f"{member} · {self.run.name}"
            own_tags |= {
                "mlflow.parentRunId": self.run_ids[FUSION],
                "mlflow.runColor": COLOURS[member],
            }
        elif self.run.parent:  # among its like: their colours are MLflow's, no two alike
            own_tags["mlflow.parentRunId"] = self.run.parent
        else:
            own_tags["mlflow.runColor"] = COLOURS[member]
        return client.create_run(self.experiment_id, tags=own_tags, run_name=name)

    def _describe(self, client: "MlflowClient") -> None:
        """Params, tags and data set: MLflow takes equal ones again without a complaint."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

        params = [Param(key, str(value)) for key, value in self.run.params.items()]
        tags = [RunTag(key, value) for key, value in self.run.tags.items()]
        data = Dataset(
            name=self.run.dataset,
            digest=self.run.digest[:DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": self.run.store}),
        )
        used = DatasetInput(data, [InputTag("mlflow.data.context", "training")])
        for run_id in self.run_ids.values():
            for batch in _batches(params, MOST_PARAMS):
                client.log_batch(run_id, params=batch)
            client.log_batch(run_id, tags=tags)
            client.log_inputs(run_id, datasets=[used])


def _batches(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))
