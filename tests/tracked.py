"""A run as MLflow is told of it, and what MLflow then holds."""

from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.tracking.tracked_run import TrackedRun

MEMBERS = (*MODALITIES, "fusion")
FILES = {member: {"figures/curves.png": b"png", "note.txt": b"x"} for member in MEMBERS}


def tracked_run(folder: Path, name: str = "toy-phase1-1", **changed: Any) -> TrackedRun:
    fields: dict[str, Any] = {
        "uri": f"sqlite:///{folder / 'mlflow.db'}",
        "experiment": "toy/cross-view",
        "artifacts": str(folder / "mlartifacts"),
        "name": name,
        "members": MEMBERS,
        "params": {"optim.lr": 0.1, "model.widths": [1, 2], "note": "x" * 500},
        "tags": {"hhmnet.phase": "phase1", "hhmnet.data_digest": "d" * 64},
        "dataset": "toy",
        "digest": "d" * 64,
        "store": str(folder / "store"),
    }
    return TrackedRun(**(fields | changed))


def history(epochs: int, seconds: float = 1.5) -> list[EpochRecord]:
    return [
        EpochRecord(
            epoch,
            seconds,
            {member: {"train/loss": 1 / epoch, "val/top1": epoch / 100} for member in MEMBERS},
        )
        for epoch in range(1, epochs + 1)
    ]


def written(run: TrackedRun) -> dict[str, list[tuple[int, float]]]:
    """Steps and losses by modality; fails on a second run of any."""
    client = MlflowClient(run.uri)
    experiment = client.get_experiment_by_name(run.experiment)
    assert experiment is not None
    found: dict[str, list[tuple[int, float]]] = {}
    for one in client.search_runs([experiment.experiment_id]):
        if one.data.tags["hhmnet.run"] == run.name:
            member = one.data.tags["hhmnet.modality"]
            assert member not in found, f"two runs of {member}"
            points = client.get_metric_history(one.info.run_id, "train/loss")
            found[member] = sorted((point.step, point.value) for point in points)
    return found


def complete(epochs: int) -> dict[str, list[tuple[int, float]]]:
    return {member: [(e, 1 / e) for e in range(1, epochs + 1)] for member in MEMBERS}
