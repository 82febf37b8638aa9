"""A run: its members, networks and guide."""

from collections.abc import Callable
from pathlib import Path

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.members import FUSION
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace


def test_run_reports_on_its_networks_and_their_fusion(
    store: Path,
    tmp_path: Path,
    guide: Callable[..., RunFolder],
    phase2_job: Callable[..., Phase2Job],
) -> None:
    workspace, folder = Workspace(str(tmp_path)), guide(tmp_path)
    first = resolve_run(Phase1Job(data=DataConfig(store=str(store))), workspace, str(store))
    assert first.networks == MODALITIES and first.members == (*MODALITIES, FUSION)
    assert first.guide_checkpoint == ""
    second = resolve_run(phase2_job(), workspace, str(store))
    assert second.networks == ("video",)
    assert second.guide_checkpoint == f"{folder.uri}/epoch-00002"
