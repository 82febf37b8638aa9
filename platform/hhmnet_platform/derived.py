"""Runs of MLflow that were made from others: fusions and ensembles."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hhmnet_core.errors import InputError
from hhmnet_platform.tracking import alone, patient, quieten

if TYPE_CHECKING:
    from mlflow import MlflowClient

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
    """Writes it; its page, behind the address of MLflow's web server.

    Raises InputError where MLflow cannot be written.
    """
    quieten()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with alone(uri):
            number, run_id = _write(MlflowClient(patient(uri)), run)
    except (MlflowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"MLflow at {uri} cannot be written ({said}).") from error
    return f"#/experiments/{number}/runs/{run_id}"


def _write(client: "MlflowClient", run: Derived) -> tuple[str, str]:
    """Writes it; the ids of its experiment and of itself."""
    from mlflow.entities import Metric, Param, RunTag

    known = client.get_experiment_by_name(run.experiment)
    number = str(known.experiment_id if known else client.create_experiment(run.experiment))
    for before in client.search_runs([number], f"tags.`hhmnet.derived` = '{run.name}'"):
        client.delete_run(before.info.run_id)
    tags = {**run.tags, "hhmnet.derived": run.name, "mlflow.note.content": run.note}
    made = client.create_run(number, run_name=run.name)
    run_id, now = str(made.info.run_id), made.info.start_time
    client.log_batch(
        run_id,
        metrics=[Metric(key, value, now, 0) for key, value in run.metrics.items()],
        params=[Param(key, str(value)) for key, value in run.params.items()],
        tags=[RunTag(key, value[:LONGEST_TAG]) for key, value in tags.items()],
    )
    with TemporaryDirectory() as folder:
        for name, content in run.files.items():
            local = Path(folder, name)
            local.parent.mkdir(parents=True, exist_ok=True)
            local.write_bytes(content)
        client.log_artifacts(run_id, folder)
    client.set_terminated(run_id)
    return number, run_id
