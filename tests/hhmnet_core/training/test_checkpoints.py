"""`state.json`: its keys, checkpoints of earlier versions, and which checkpoints may resume."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.identity import identity, later
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.training.checkpoints import (
    CheckpointSummary,
    DamagedFileError,
    TrainingIdentity,
    parse_summary,
    read_summary,
    recorded_config,
    resumed_summary,
)
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.records import EpochRecord, PartialEpoch, Progress

PROGRESS = Progress(
    [EpochRecord(1, 2.5, {"joint": {"train/loss": 0.5}})], PartialEpoch(3, 1.5, [[1.0, 2.0, 3.0]])
)
PHASE1 = TrainingIdentity("phase1", Phase1Config(data=DataConfig(store="here")), "a" * 64)
PHASE2 = TrainingIdentity("phase2", Phase2Config(), "b" * 64, guide="c" * 64)


def save(folder: Path, training: TrainingIdentity, progress: Progress = PROGRESS) -> Path:
    (folder / "state.json").write_text(CheckpointSummary.of(training, progress).to_json())
    return folder


def resumed(folder: Path, training: TrainingIdentity) -> Progress:
    return resumed_summary(folder, training).progress


def edit(folder: Path, **changes: object) -> None:
    """Change values of a `state.json` as of before there were checksums; None removes one."""
    state = (
        json.loads((folder / "state.json").read_text()) | {"files": None, "sha256": None} | changes
    )
    state = {name: value for name, value in state.items() if value is not None}
    (folder / "state.json").write_text(json.dumps(state))


def test_state_json_holds_what_it_always_held(tmp_path: Path) -> None:
    state = json.loads((save(tmp_path, PHASE1) / "state.json").read_text())
    config = identity(replace(PHASE1.config, data=replace(PHASE1.config.data, store="")))
    assert not {"init_from"} & set(config) and not {"layout", "train_share"} & set(config["data"])
    assert state == {
        "phase": "phase1",
        "epoch": 1,
        "config": json.loads(json.dumps(config)),
        "digest": "a" * 64,
        "history": [{"epoch": 1, "seconds": 2.5, "metrics": {"joint": {"train/loss": 0.5}}}],
        "part": {"steps": 3, "seconds": 1.5, "sums": [[1.0, 2.0, 3.0]]},
        "files": {},
        "sha256": state["sha256"],
    }
    save(tmp_path, PHASE2, Progress([]))
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["config"]["guide"] == "c" * 64 and state["part"] is None


@pytest.mark.parametrize("training", [PHASE1, PHASE2], ids=["phase1", "phase2"])
@pytest.mark.parametrize("progress", [PROGRESS, Progress([]), Progress(PROGRESS.history)])
def test_a_training_resumes_where_it_stopped(
    training: TrainingIdentity, progress: Progress, tmp_path: Path
) -> None:
    assert resumed(save(tmp_path, training, progress), training) == progress


def test_a_checkpoint_from_before_there_were_partial_epochs_resumes(tmp_path: Path) -> None:
    save(tmp_path, PHASE1, Progress(PROGRESS.history))
    edit(tmp_path, part=None)
    assert "part" not in json.loads((tmp_path / "state.json").read_text())
    assert resumed(tmp_path, PHASE1) == Progress(PROGRESS.history)


def test_the_store_may_move(tmp_path: Path) -> None:
    save(tmp_path, PHASE1)
    moved = replace(PHASE1.config, data=DataConfig(store="elsewhere"))
    assert resumed(tmp_path, replace(PHASE1, config=moved)) == PROGRESS


def test_a_config_that_differs_is_refused_by_its_fields(tmp_path: Path) -> None:
    save(tmp_path, PHASE1)
    changed = replace(PHASE1.config, seed=2, optim=OptimConfig(lr=0.5))
    with pytest.raises(
        InputError,
        match=r"was trained with another config \(different: optim\.lr, seed\): give the one",
    ):
        resumed(tmp_path, replace(PHASE1, config=changed))


def test_another_guide_or_none_is_refused(tmp_path: Path) -> None:
    save(tmp_path, PHASE2)
    for guide in ("d" * 64, None):
        with pytest.raises(InputError, match=r"another config \(different: guide\)"):
            resumed(tmp_path, replace(PHASE2, guide=guide))


def test_other_data_are_refused_by_their_digest(tmp_path: Path) -> None:
    save(tmp_path, PHASE1)
    with pytest.raises(InputError, match=r"with other data \(digest a{12}, here e{12}"):
        resumed(tmp_path, replace(PHASE1, digest="e" * 64))


@dataclass
class GrownConfig(Phase1Config):
    compile: bool = later(False)


def test_a_checkpoint_that_lacks_a_field_added_since_resumes_with_its_default(
    tmp_path: Path,
) -> None:
    save(tmp_path, PHASE1)
    grown = replace(PHASE1, config=GrownConfig())
    assert recorded_config(grown.config) == recorded_config(PHASE1.config)
    assert resumed(tmp_path, grown) == PROGRESS
    with pytest.raises(InputError, match=r"different: compile\)"):
        resumed(tmp_path, replace(grown, config=GrownConfig(compile=True)))


def test_a_checkpoint_of_another_phase_is_refused(tmp_path: Path) -> None:
    save(tmp_path, PHASE2)
    with pytest.raises(InputError, match="is a checkpoint of phase2, expected one of phase 1"):
        read_summary(tmp_path, "phase1")


def test_a_folder_without_a_whole_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a checkpoint of phase 1: .*No such file"):
        read_summary(tmp_path, "phase1")
    (tmp_path / "state.json").write_text('{"phase": "pha')
    with pytest.raises(InputError, match=r"is not a checkpoint of phase 1: .*Unterminated string"):
        read_summary(tmp_path, "phase1")
    save(tmp_path, PHASE1)
    edit(tmp_path, digest=None)
    with pytest.raises(InputError, match=r"is not a checkpoint of phase 1: .*it lacks 'digest'"):
        read_summary(tmp_path, "phase1")


def test_every_change_of_a_byte_is_noticed(tmp_path: Path) -> None:
    content = (save(tmp_path, PHASE1) / "state.json").read_bytes()
    assert parse_summary(content).progress == PROGRESS
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        with pytest.raises(DamagedFileError):
            parse_summary(bytes(changed))


def test_a_file_is_checked_where_its_checksum_was_recorded() -> None:
    checksum = hashlib.sha256(b"weights").hexdigest()
    summary = CheckpointSummary("phase1", {}, "", PROGRESS, {"joint.safetensors": checksum})
    assert summary.check_file("joint.safetensors", b"weights") == checksum
    assert summary.check_file("bone.safetensors", b"of an earlier version")
    with pytest.raises(DamagedFileError, match=r"joint.safetensors does not match its checksum"):
        summary.check_file("joint.safetensors", b"weightS")


def test_a_summary_that_cannot_be_read_is_no_damaged_one(tmp_path: Path) -> None:
    (tmp_path / "state.json").symlink_to("state.json")  # the system refuses to follow it
    with pytest.raises(AccessError, match=r"Cannot read .*state.json"):
        read_summary(tmp_path, "phase1")
