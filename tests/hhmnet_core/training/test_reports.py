"""The processes of a mesh write a checkpoint together, each file once."""

import json
from pathlib import Path

import pytest
from torch import nn

from hhmnet_core.training.checkpoints import CheckpointSummary
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.records import Progress
from hhmnet_core.training.reports import TrainingState
from hhmnet_core.training.stream import Stream

SUMMARY = CheckpointSummary("phase1", {"seed": 1}, "digest", Progress([]))


@pytest.mark.parametrize(
    ("data_rank", "rank", "files"),
    [
        (0, 0, {"bone.safetensors", "joint.safetensors", "state.json"}),
        (0, 1, {"bone.safetensors", "joint.safetensors"}),
        (1, 2, set()),
    ],
)
def test_a_process_writes_its_share_of_a_checkpoint(
    data_rank: int, rank: int, files: set[str], tmp_path: Path
) -> None:
    mesh = Mesh()
    mesh.data_rank, mesh.rank = data_rank, rank
    streams = [Stream(member, nn.Linear(2, 2), OptimConfig()) for member in ("joint", "bone")]
    TrainingState(streams, mesh, SUMMARY).save(tmp_path / "new" / "folder")
    assert {file.name for file in (tmp_path / "new" / "folder").iterdir()} == files


def test_state_json_is_the_summary(tmp_path: Path) -> None:
    TrainingState([], Mesh(), SUMMARY).save(tmp_path)
    assert json.loads((tmp_path / "state.json").read_text())["config"] == {"seed": 1}
