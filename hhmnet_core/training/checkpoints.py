"""The summary of a checkpoint, `state.json`, and the check that decides whether it may resume."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hhmnet_core.checks.parsing import parse_json
from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access
from hhmnet_core.from_json import from_json
from hhmnet_core.identity import JsonObject, canonical, differing, identity
from hhmnet_core.training.records import Progress

STATE_FILE = "state.json"
_GUIDE = "guide"
_OWN_CHECKSUM = "sha256"  # of the other values in state.json


class DamagedFileError(Exception):
    """A file of a checkpoint that is not as it was written."""


@dataclass(frozen=True)
class TrainingIdentity:
    """All that decides the result of a training: a checkpoint resumes under an equal identity only.

    Attributes:
        phase: "phase1" or "phase2".
        config: Config of the phase, a dataclass. The location of its store is ignored.
        digest: Digest of the data, sha256 in hex.
        guide: Digest of the weights that guide phase 2, or that phase 1 starts from. None: none.
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
        files: sha256 (hex) of each other file of the checkpoint, by name. Empty in checkpoints of
            versions that recorded none.
    """

    phase: str
    config: JsonObject
    digest: str
    progress: Progress
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, training: TrainingIdentity, progress: Progress) -> "CheckpointSummary":
        """Return the summary of a training at a point of its progress."""
        config = recorded_config(training.config, training.guide)
        return cls(training.phase, config, training.digest, progress)

    @property
    def own_config(self) -> JsonObject:
        """The config of the phase alone."""
        return {name: value for name, value in self.config.items() if name != _GUIDE}

    def to_json(self) -> str:
        """Return the text of `state.json`."""
        history, partial = self.progress.history, self.progress.partial
        values: JsonObject = {
            "phase": self.phase,
            "epoch": len(history),
            "config": self.config,
            "digest": self.digest,
            "history": [asdict(record) for record in history],
            "part": asdict(partial) if partial else None,
            "files": self.files,
        }
        return json.dumps(values | {_OWN_CHECKSUM: _checksum(values)})

    def check_file(self, name: str, content: bytes) -> str:
        """Return the sha256 (hex) of a file of the checkpoint.

        Raises DamagedFileError where the file is not as it was written. That of a file without a
        recorded checksum is unknown.
        """
        checksum = hashlib.sha256(content).hexdigest()
        if self.files.get(name, checksum) != checksum:
            raise DamagedFileError(f"{name} does not match its checksum in {STATE_FILE}")
        return checksum


def recorded_config(config: Any, guide: str | None = None) -> JsonObject:
    """Return the identity of a phase's config as checkpoints record it.

    Args:
        config: Config of a phase. The location of its store is left out.
        guide: Digest of the weights that guide phase 2, or that phase 1 starts from. None: none.
    """
    return identity(without_location(config)) | ({} if guide is None else {_GUIDE: guide})


def without_location(config: Any) -> Any:
    """Return a phase's config with no `data.store` and `init_from`: stores and models may move."""
    moved = {"init_from": ""} if hasattr(config, "init_from") else {}
    return replace(config, data=replace(config.data, store=""), **moved)


def member_file(member: str) -> str:
    """Return the name of a member's file in a checkpoint."""
    return f"{member}.safetensors"


def resumed_summary(folder: Path, training: TrainingIdentity) -> CheckpointSummary:
    """Return the summary of a checkpoint that a training resumes from.

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
    return summary


def read_summary(folder: Path, phase: str) -> CheckpointSummary:
    """Read a checkpoint's `state.json`.

    Raises:
        InputError: No checkpoint, or one of another phase.
        AccessError: A file that cannot be read at present.
    """
    wanted = phase.replace("phase", "phase ")
    try:
        with local_access(folder / STATE_FILE):
            summary = parse_summary((folder / STATE_FILE).read_bytes())
    except (FileNotFoundError, DamagedFileError) as error:
        raise InputError(f"{folder} is not a checkpoint of {wanted}: {error}.") from error
    if summary.phase != phase:
        raise InputError(f"{folder} is a checkpoint of {summary.phase}, expected one of {wanted}.")
    return summary


def parse_summary(content: bytes) -> CheckpointSummary:
    """Return the summary that a `state.json` holds, of this or an earlier version.

    Raises DamagedFileError where it holds none, or is not as it was written.
    """
    try:
        values = parse_json(content)
        recorded = values.pop(_OWN_CHECKSUM, None)
        has_checksums = recorded is not None or "files" in values
        if has_checksums and recorded != _checksum(values):
            raise DamagedFileError(f"{STATE_FILE} does not match its own checksum")
        # The first versions had no "part", and then no checksums.
        named = {"history": values["history"], "partial": values.get("part")}
        return CheckpointSummary(
            phase=_text(values["phase"]),
            config=dict(values["config"]),
            digest=_text(values["digest"]),
            progress=from_json(Progress, named),
            files={name: _text(checksum) for name, checksum in values.get("files", {}).items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, InputError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise DamagedFileError(f"{STATE_FILE} holds no summary ({reason})") from error


def _checksum(values: JsonObject) -> str:
    return hashlib.sha256(canonical(values)).hexdigest()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.50} is not text")
    return value
