"""The result of a finished run, and its file, result.json.

The names in the file are fixed: files that earlier versions wrote are read by `parse_result`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from hhmnet_core.checks.names import check_name
from hhmnet_core.errors import InputError
from hhmnet_core.fusion.metrics import mean_class_accuracy, top1, top1_without_copies, top5
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.shrinkage import ChoiceBasis
from hhmnet_core.identity import JsonObject
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.members import TRAINED
from hhmnet_platform.storage.checkpoints import is_checkpoint
from hhmnet_platform.storage.record_files import format_record, parse_record
from hhmnet_platform.tracking import tags

RESULT = "result.json"
WITHOUT_COPIES = "test_top1_without_copies"
# Names in the file that differ from those of `RunResult`, and values that early files lack.
_IN_FILE = {"mesh": "layout", "mesh_history": "layouts", "identity": "science"}
_BEFORE: JsonObject = {"copies": [], "not_filmed": 0, "layouts": []}


@dataclass(frozen=True)
class MemberResult:
    """Accuracies of a network or of the fusion with equal weights, as shares of 1.

    Attributes:
        epoch: Epoch whose weights are scored. None for the fusion.
        val_top1: Top-1 on validation. None for a run without a validation split.
        test_top1: Top-1 on test.
        test_top1_without_copies: Top-1 on the test clips that copy no clip of training or
            validation. None where no test clip is a copy, or all are.
        test_top5: Top-5 on test. None for fewer than 6 classes, and in files of earlier versions.
        test_mean_class_accuracy: Mean accuracy of the classes on test. None in files of earlier
            versions.
    """

    epoch: int | None
    val_top1: float | None
    test_top1: float
    test_top1_without_copies: float | None = None
    test_top5: float | None = None
    test_mean_class_accuracy: float | None = None

    @classmethod
    def of(cls, tables: Mapping[str, ScoreTable], epoch: int | None) -> "MemberResult":
        """Return the result of score tables by split: test, and val where there is one."""
        return cls(
            epoch,
            float(top1(tables["val"])) if "val" in tables else None,
            float(top1(tables["test"])),
            top1_without_copies(tables["test"]),
            top5(tables["test"]),
            mean_class_accuracy(tables["test"]),
        )


@dataclass(frozen=True)
class FittedFusion:
    """The fusion whose weights were fitted on validation.

    Attributes:
        weights: Weight of each member's logits. Their sum is 1.
        val_top1: Top-1 on validation, a share of 1.
        test_top1: Top-1 on test.
        test_top1_without_copies: As in `MemberResult`.
        basis: Basis of the choice of the weights. None in files of earlier versions, whose
            weights have the least log-loss on validation, however small that is.
        test_top5: As in `MemberResult`.
        test_mean_class_accuracy: As in `MemberResult`.
    """

    weights: dict[str, float]
    val_top1: float
    test_top1: float
    test_top1_without_copies: float | None = None
    basis: ChoiceBasis | None = None
    test_top5: float | None = None
    test_mean_class_accuracy: float | None = None


@dataclass(frozen=True)
class RunResult:
    """The result of a finished run.

    Attributes:
        run: Name of the run.
        phase: "phase1" or "phase2".
        dataset: Name of the data set.
        protocol: Name of the protocol.
        selection: "val", "literature" or a fold.
        digest: Digest of the skeletons (phase 1) or of the store (phase 2), sha256 in hex.
        members: Results by member, the fusion last.
        fitted: The fusion with fitted weights. None for a run without a validation split.
        copies: Sample ids of the test clips that copy a clip of training or validation.
        not_filmed: Number of test clips without video, which no accuracy includes.
        mesh: Description of the workers.
        mesh_history: Meshes of an elastic run as (epoch, step, data, modality): the progress at
            which each started, and its shape.
        seconds: Training time, summed over epochs.
        checkpoint: Folder of the last checkpoint, in the run's.
        identity: All values that decide the result, by dotted name.
        tags: Tags of the run in MLflow.
        history: Record of each epoch.

    Raises:
        InputError: A phase or a checkpoint that cannot be, or a name that would lead to another
            folder.
    """

    run: str
    phase: str
    dataset: str
    protocol: str
    selection: str
    digest: str
    members: dict[str, MemberResult]
    fitted: FittedFusion | None
    copies: tuple[str, ...]
    not_filmed: int
    mesh: str
    mesh_history: tuple[tuple[int, int, int, int], ...]
    seconds: float
    checkpoint: str
    identity: JsonObject
    tags: dict[str, str]
    history: tuple[EpochRecord, ...]

    def __post_init__(self) -> None:
        check_name(self.run)
        check_name(self.dataset, "data set name")
        if guide := self.tags.get(tags.GUIDE):
            check_name(guide)
        if self.phase not in TRAINED:
            raise InputError(f"phase is {self.phase!r}, expected {' or '.join(TRAINED)}.")
        if not is_checkpoint(self.checkpoint):
            raise InputError(f"checkpoint is {self.checkpoint!r}, expected such as 'epoch-00002'.")


def format_result(result: RunResult) -> bytes:
    """Return the content of result.json."""
    values = asdict(result)
    values["members"] = {name: _without_none(row) for name, row in values["members"].items()}
    values["fitted"] = _without_none(values["fitted"]) if result.fitted else {}
    return format_record({_IN_FILE.get(name, name): value for name, value in values.items()})


def parse_result(content: bytes, source: str) -> RunResult:
    """Return the result that a result.json of this or an earlier version holds.

    Args:
        content: The file's content.
        source: The file's URI, for the error message.

    Raises:
        InputError: Not a JSON object, or a field that is missing or of the wrong kind.
    """
    command = "the run's command again; it is scored again from its last checkpoint"
    return parse_record(RunResult, content, source, command, _fields_of)


def _fields_of(values: JsonObject) -> JsonObject:
    """Return the fields of a result from the values of its file."""
    values = _BEFORE | values
    named = {each.name: _IN_FILE.get(each.name, each.name) for each in fields(RunResult)}
    found = {name: values[in_file] for name, in_file in named.items() if in_file in values}
    return found | {"fitted": found.get("fitted") or None}


def _without_none(row: JsonObject) -> JsonObject:
    """Return a row without what it lacks and earlier versions did not write."""
    later = (WITHOUT_COPIES, "test_top5", "test_mean_class_accuracy", "basis")
    return {key: value for key, value in row.items() if value is not None or key not in later}
