"""What training says after each epoch and within, and what a checkpoint of it holds."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.records import EpochRecord, Metrics, PartialEpoch, Progress
from hhmnet_core.training.stream import Stream


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds of this process; valid until the generator goes on."""

    streams: Sequence[Stream[Any]]
    mesh: Mesh
    summary: dict[str, object]

    def save(self, folder: Path) -> None:
        """Writes this process's files; the union of all processes' files is a checkpoint.

        `<modality>.safetensors` from the host of the modality with data coordinate 0,
        `state.json` from rank 0. Other processes write nothing.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.mesh.data_rank == 0:
            for stream in self.streams:
                stream.save(folder)
        if self.mesh.rank == 0:
            (folder / "state.json").write_text(json.dumps(self.summary))


@dataclass(frozen=True)
class EpochReport:
    """What `fit` yields after each epoch; equal on all processes but for `state` and `seconds`.

    Where it was given patience also within an epoch, to be saved: then `steps` is not 0, and there
    is nothing new in it but the state.

    Attributes:
        epoch: Epochs completed, from 1; within the first epoch 0.
        metrics: By modality, and of their fusion under "fusion", by name; empty within an epoch.
        history: Every epoch so far, this one last.
        state: To be saved before the generator goes on.
        scores: Tables of val and test, by modality and fused; empty but for the last epoch.
        steps: That are done of the epoch after `epoch`; 0 where it has not begun.
        seconds: Of work since the report before, or since the first step.
    """

    epoch: int
    metrics: Metrics
    history: list[EpochRecord]
    state: TrainingState
    scores: list[ScoreTable]
    steps: int = 0
    seconds: float = 0.0


def summarise(
    phase: str, progress: Progress, config: dict[str, object], digest: str
) -> dict[str, object]:
    """What a checkpoint's `state.json` says."""
    return {
        "phase": phase,
        "epoch": len(progress.history),
        "config": config,
        "digest": digest,
        "history": [asdict(record) for record in progress.history],
        "part": asdict(progress.part) if progress.part else None,
    }


def read_summary(folder: Path, phase: str, config: dict[str, object], digest: str) -> Progress:
    """How far the training of a checkpoint had come.

    Raises InputError where it is none of the phase, or was trained with another config or data.
    """
    summary = read_state(folder, phase)
    for what, ours in (("config", config), ("digest", digest)):
        if summary.get(what) != ours:
            raise InputError(
                f"Checkpoint {folder} was trained with another {what}: give the one it was "
                f"trained with, or start a new run."
            )
    part = summary.get("part")
    history = [EpochRecord(**record) for record in summary["history"]]
    return Progress(history, PartialEpoch(**part) if part else None)


def read_state(folder: Path, phase: str) -> dict[str, Any]:
    """A checkpoint's `state.json`. Raises InputError where it is none of the phase."""
    said = phase.replace("phase", "phase ")
    try:
        summary: dict[str, Any] = json.loads((folder / "state.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{folder} is not a checkpoint of {said}: {error}.") from error
    if summary.get("phase") != phase:
        raise InputError(
            f"{folder} is a checkpoint of {summary.get('phase')}, expected one of {said}."
        )
    return summary
