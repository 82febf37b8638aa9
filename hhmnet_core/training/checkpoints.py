"""The summary of a checkpoint, `state.json`, and the check that decides whether it may resume."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject, differing, identity
from hhmnet_core.training.records import EpochRecord, PartialEpoch, Progress

STATE_FILE = "state.json"
_GUIDE = "guide"


@dataclass(frozen=True)
class TrainingIdentity:
    """All that decides the result of a training: a checkpoint resumes under an equal identity only.

    Attributes:
        phase: "phase1" or "phase2".
        config: Config of the phase, a dataclass. The location of its store is ignored.
        digest: Digest of the data, sha256 in hex.
        guide: Digest of the weights that guide phase 2. None in phase 1.
    """

    phase: str
    config: Any
    digest: str
    guide: str | None = None

    def differing(self, recorded: JsonObject) -> list[str]:
        """Return the dotted names in which a recorded config differs from this identity."""
        config = {name: value for name, value in recorded.items() if name != _GUIDE}
        names = differing(config, without_location(self.config))
        return names if recorded.get(_GUIDE) == self.guide else sorted([*names, _GUIDE])


@dataclass(frozen=True)
class CheckpointSummary:
    """The content of `state.json`.

    Attributes:
        phase: "phase1" or "phase2".
        config: Config as `recorded_config` returned it.
        digest: Digest of the data, sha256 in hex.
        progress: Training progress.
    """

    phase: str
    config: JsonObject
    digest: str
    progress: Progress

    @classmethod
    def of(cls, training: TrainingIdentity, progress: Progress) -> "CheckpointSummary":
        """Return the summary of a training at a point of its progress."""
        config = recorded_config(training.config, training.guide)
        return cls(training.phase, config, training.digest, progress)

    def to_json(self) -> str:
        """Return the text of `state.json`."""
        history, partial = self.progress.history, self.progress.partial
        return json.dumps(
            {
                "phase": self.phase,
                "epoch": len(history),
                "config": self.config,
                "digest": self.digest,
                "history": [asdict(record) for record in history],
                "part": asdict(partial) if partial else None,
            }
        )


def recorded_config(config: Any, guide: str | None = None) -> JsonObject:
    """Return the identity of a phase's config as checkpoints record it.

    Args:
        config: Config of a phase. The location of its store is left out.
        guide: Digest of the weights that guide phase 2. None in phase 1.
    """
    return identity(without_location(config)) | ({} if guide is None else {_GUIDE: guide})


def without_location(config: Any) -> Any:
    """Return a phase's config with an empty `data.store`: a store may move."""
    return replace(config, data=replace(config.data, store=""))


def resumed_progress(folder: Path, training: TrainingIdentity) -> Progress:
    """Return the progress of a checkpoint that a training resumes from.

    Raises:
        InputError: No checkpoint of the phase, or one of another config, guide or data.
    """
    summary = read_summary(folder, training.phase)
    advice = "give the one it was trained with, or start a new run."
    if names := training.differing(summary.config):
        raise InputError(
            f"Checkpoint {folder} was trained with another config (different: "
            f"{', '.join(names)}): {advice}"
        )
    if summary.digest != training.digest:
        raise InputError(
            f"Checkpoint {folder} was trained with other data (digest {summary.digest[:12]}, here "
            f"{training.digest[:12]}): {advice}"
        )
    return summary.progress


def read_summary(folder: Path, phase: str) -> CheckpointSummary:
    """Read a checkpoint's `state.json`.

    Raises:
        InputError: No checkpoint, or one of another phase.
    """
    wanted = phase.replace("phase", "phase ")
    try:
        values = json.loads((folder / STATE_FILE).read_text())
        partial = values.get("part")  # lacking in checkpoints of the first versions
        progress = Progress(
            [EpochRecord(**record) for record in values["history"]],
            PartialEpoch(**partial) if partial else None,
        )
        summary = CheckpointSummary(values["phase"], values["config"], values["digest"], progress)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise InputError(f"{folder} is not a checkpoint of {wanted}: {reason}.") from error
    if summary.phase != phase:
        raise InputError(f"{folder} is a checkpoint of {summary.phase}, expected one of {wanted}.")
    return summary
