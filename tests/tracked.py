"""A run as it is given to MLflow, and what MLflow holds afterwards."""

from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.tracking import tags
from hhmnet_platform.tracking.datasets import TrackedSplit
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
        "tags": {
            tags.PHASE: "phase1",
            tags.DATA_DIGEST: "d" * 64,
            tags.DATASET: "toy",
            tags.SELECTION: "val",
        },
        "dataset": "toy",
        "digest": "d" * 64,
        "store": str(folder / "store"),
        "splits": (TrackedSplit("train", "1" * 64, 8), TrackedSplit("test", "2" * 64, 4)),
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


def tracked_losses(run: TrackedRun) -> dict[str, list[tuple[int, float]]]:
    """Return the epochs and losses of each member; fail where a member has a second run."""
    client = MlflowClient(run.uri)
    experiment = client.get_experiment_by_name(run.experiment)
    assert experiment is not None
    losses: dict[str, list[tuple[int, float]]] = {}
    for one in client.search_runs([experiment.experiment_id]):
        if one.data.tags[tags.RUN] == run.name:
            member = one.data.tags[tags.MODALITY]
            assert member not in losses, f"two runs of {member}"
            points = client.get_metric_history(one.info.run_id, "train/loss")
            losses[member] = sorted((point.step, point.value) for point in points)
    return losses


def expected_losses(epochs: int) -> dict[str, list[tuple[int, float]]]:
    """Return what `tracked_losses` gives where MLflow holds `history(epochs)`, once."""
    return {member: [(e, 1 / e) for e in range(1, epochs + 1)] for member in MEMBERS}
