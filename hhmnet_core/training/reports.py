"""What training says after each epoch, and what a checkpoint of it holds."""

import json
from dataclasses import dataclass
from pathlib import Path

from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.stream import Stream

Metrics = dict[str, dict[str, float]]


@dataclass(frozen=True)
class EpochRecord:
    """What an epoch gave: its number from 1, its duration, metrics by modality and name."""

    epoch: int
    seconds: float
    metrics: Metrics


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds of this process; valid until the generator goes on."""

    streams: list[Stream]
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
    """What `fit` yields after each epoch; equal on all processes but for `state`.

    Attributes:
        epoch: Epochs completed, from 1.
        metrics: By modality, and of their fusion under "fusion", by name.
        history: Every epoch so far, this one last.
        state: To be saved before the generator goes on.
        scores: Tables of val and test, by modality and fused; empty but for the last epoch.
    """

    epoch: int
    metrics: Metrics
    history: list[EpochRecord]
    state: TrainingState
    scores: list[ScoreTable]
