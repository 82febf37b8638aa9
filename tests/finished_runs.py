"""Finished runs as they lie in a workspace, without training."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.checkpoints import CheckpointSummary
from hhmnet_core.training.records import EpochRecord, Progress
from hhmnet_platform.members import FUSION
from hhmnet_platform.storage.results import FittedFusion, MemberResult, RunResult
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags

RESULT = RunResult(
    run="first",
    phase="phase1",
    dataset="films",
    protocol="cross-view",
    selection="val",
    digest="d" * 64,
    members={
        **{modality: MemberResult(2, 0.5, 0.4) for modality in MODALITIES},
        FUSION: MemberResult(None, 0.75, 0.625),
    },
    fitted=FittedFusion(dict.fromkeys(MODALITIES, 0.25), 0.8, 0.7),
    copies=(),
    not_filmed=0,
    mesh="1 CPU worker",
    mesh_history=(),
    seconds=3.0,
    checkpoint="epoch-00002",
    identity={"optim.lr": 0.1, "seed": 1},
    tags={tags.STORE: "/data/films"},
    history=(
        EpochRecord(1, 1.0, {"joint": {"val/top1": 0.4}}),
        EpochRecord(2, 2.0, {"joint": {"val/top1": 0.5}}),
    ),
)


def write_finished_run(workspace: Path, name: str = "first", **changes: Any) -> RunFolder:
    """Write result.json of a run: `RESULT`, with other values for some fields."""
    folder = Workspace(str(workspace)).run(name)
    folder.write_result(replace(RESULT, run=name, **changes))
    return folder


def write_checkpoint(run: RunFolder, joint: bytes) -> None:
    """Write the last checkpoint of a run with some joint weights."""
    checksums = {"joint.safetensors": hashlib.sha256(joint).hexdigest()}
    summary = CheckpointSummary("phase1", {}, "digest", Progress([]), checksums)
    run.sub("epoch-00002").write("joint.safetensors", joint)
    run.sub("epoch-00002").write("state.json", summary.to_json().encode())
