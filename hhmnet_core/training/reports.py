"""Reports that training yields after epochs and within them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.training.checkpoints import STATE_FILE, CheckpointSummary, member_file
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.records import EpochRecord, Metrics
from hhmnet_core.training.stream import Stream


@dataclass(frozen=True)
class TrainingState:
    """This process's share of a checkpoint; valid until the generator that yielded it continues.

    Attributes:
        streams: Networks that this process trains.
        mesh: This process among the workers.
        summary: Content of `state.json` but for the checksums.
    """

    streams: Sequence[Stream[Any]]
    mesh: Mesh
    summary: CheckpointSummary

    def save(self, folder: Path) -> None:
        """Write this process's files; the files of all processes together are a checkpoint.

        `<member>.safetensors` comes from the process with data coordinate 0 that hosts the member,
        `state.json`, with the checksums of all files, from rank 0. All processes have to call this,
        since they exchange the checksums.
        """
        folder.mkdir(parents=True, exist_ok=True)
        saved = self.streams if self.mesh.data_rank == 0 else ()
        checksums = {member_file(stream.member): stream.save(folder) for stream in saved}
        summary = replace(self.summary, files=self.mesh.union(checksums))
        if self.mesh.rank == 0:
            (folder / STATE_FILE).write_text(summary.to_json())


@dataclass(frozen=True)
class EpochReport:
    """A report of `fit`, equal on all processes except for `state` and `seconds`.

    A report within an epoch (`steps` above 0) exists to save a checkpoint: only its state is new.

    Attributes:
        epoch: Number of completed epochs; 0 within the first epoch.
        metrics: Metrics of the epoch by member and name; empty within an epoch.
        history: All completed epochs, in order.
        state: State to save before the generator continues.
        scores: Score tables of val and test by member; empty before the last epoch ends.
        steps: Completed steps of the next epoch; 0 at the end of an epoch.
        seconds: Training time in seconds since the last report, or since the first step.
    """

    epoch: int
    metrics: Metrics
    history: list[EpochRecord]
    state: TrainingState
    scores: list[ScoreTable]
    steps: int = 0
    seconds: float = 0.0
