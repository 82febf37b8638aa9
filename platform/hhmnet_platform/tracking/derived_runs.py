"""Runs of MLflow that stand above others: fusions, ensembles and searches."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.client import client_uri, exclusive, mlflow_errors, set_quiet_defaults

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LONGEST_TAG = 5000  # characters that MLflow takes


@dataclass(frozen=True)
class Derived:
    """What MLflow is told of such a run.

    Attributes:
        experiment: Of the runs that it is made from.
        name: Equal names are one run, which is written anew.
        tags: Beside its name.
        params: What it was made with.
        metrics: What came out.
        note: In Markdown, what one reads first.
        files: Artifact path -> content.
    """

    experiment: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    note: str
    files: Mapping[str, bytes]


def track(uri: str, run: Derived) -> str:
    """Writes a run in the place of one of its name; its page, behind the address of the server.

    Raises InputError where MLflow cannot be written.
    """
    with _client(uri) as client:
        for before in _named(client, _experiment(client, run, ""), run.name):
            client.delete_run(before.info.run_id)
    number, run_id = begin(uri, run)
    end(uri, run_id, run)
    return f"#/experiments/{number}/runs/{run_id}"


def begin(uri: str, run: Derived, artifacts: str = "") -> tuple[str, str]:
    """Makes the run, or takes up the one of its name; the ids of its experiment and of itself.

    Args:
        uri: Of MLflow's tracking.
        run: Its tags, params and note are written; metrics and files wait for `end`.
        artifacts: Where a new experiment keeps its artifacts; "" leaves it to MLflow.

    Raises InputError where MLflow cannot be written.
    """
    with _client(uri) as client:
        from mlflow.entities import Param, RunTag

        number = _experiment(client, run, artifacts)
        known = _named(client, number, run.name)
        made = known[0] if known else client.create_run(number, run_name=run.name)
        run_id = str(made.info.run_id)
        client.update_run(run_id, status="RUNNING")
        all_tags = {**run.tags, tags.DERIVED: run.name, "mlflow.note.content": run.note}
        client.log_batch(
            run_id,
            params=[Param(key, str(value)) for key, value in run.params.items()],
            tags=[RunTag(key, value[:LONGEST_TAG]) for key, value in all_tags.items()],
        )
        return number, run_id


def end(uri: str, run_id: str, run: Derived) -> None:
    """Writes what came out. Raises InputError where MLflow cannot be written."""
    with _client(uri) as client, TemporaryDirectory() as folder:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        client.log_batch(run_id, [Metric(key, value, now, 0) for key, value in run.metrics.items()])
        client.set_tag(run_id, "mlflow.note.content", run.note[:LONGEST_TAG])
        for name, content in run.files.items():
            local = Path(folder, name)
            local.parent.mkdir(parents=True, exist_ok=True)
            local.write_bytes(content)
        client.log_artifacts(run_id, folder)
        client.set_terminated(run_id)


def check_tracking(uri: str) -> None:
    """Raises InputError where MLflow cannot be asked."""
    with _client(uri) as client:
        client.search_experiments(max_results=1)


def find(uri: str, experiment: str, name: str) -> str | None:
    """The page of a finished run of that name; None where there is none."""
    with _client(uri) as client:
        held = client.get_experiment_by_name(experiment)
        if held is None:
            return None
        number = str(held.experiment_id)
        for known in _named(client, number, name):
            if known.info.status == "FINISHED":
                return f"#/experiments/{number}/runs/{known.info.run_id}"
    return None


def stop_children(uri: str, number: str, parent: str) -> None:
    """Ends what still runs below a run, as KILLED: nobody else will.

    Raises InputError where MLflow cannot be written.
    """
    with _client(uri) as client:
        for run in client.search_runs([number], f"tags.`mlflow.parentRunId` = '{parent}'"):
            below = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
            for each in [run, *client.search_runs([number], below)]:
                if each.info.status == "RUNNING":
                    client.set_terminated(each.info.run_id, "KILLED")


@contextmanager
def _client(uri: str) -> Iterator["MlflowClient"]:
    """Alone with MLflow; what goes wrong is one InputError."""
    set_quiet_defaults()
    from mlflow import MlflowClient

    with mlflow_errors(uri), exclusive(uri):
        yield MlflowClient(client_uri(uri))


def _experiment(client: "MlflowClient", run: Derived, artifacts: str) -> str:
    known = client.get_experiment_by_name(run.experiment)
    if known is not None:
        return str(known.experiment_id)
    return str(client.create_experiment(run.experiment, artifacts or None))


def _named(client: "MlflowClient", number: str, name: str) -> list["Run"]:
    return list(client.search_runs([number], f"tags.`{tags.DERIVED}` = '{name}'"))
