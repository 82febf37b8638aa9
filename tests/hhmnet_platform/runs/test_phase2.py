"""Phase 2: a run guides it, clips without video are left out, the driver fuses."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.metrics import top1
from hhmnet_core.fusion.scores import FUSION, VIDEO, read_scores
from hhmnet_core.inputs.config import DataConfig, StoreConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.protocols import split_clips
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.phases import PHASES
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.scores import scores_file
from hhmnet_platform.storage.workspace import Workspace
from hhmnet_platform.tracking import tags

PHASE2 = PHASES["phase2"]
Guide = Callable[..., RunFolder]


def test_guide_is_an_option_of_its_commands() -> None:
    job = Phase2Job(phase1="first")
    assert PHASE2.guided_by(job, "other").phase1 == "other"
    assert PHASE2.command_options(job) == {"phase1": "first"}
    assert PHASE2.objective == VIDEO


def test_store_is_that_of_the_guide(tmp_path: Path, guide: Guide) -> None:
    guide(tmp_path, tags={tags.STORE: "/data/there"})
    job = Phase2Job(phase1="first")
    assert PHASE2.default_store(job, Workspace(str(tmp_path))) == "/data/there"


def test_clips_without_video_are_left_out_and_noted(
    store: Path, tmp_path: Path, guide: Guide, phase2_job: Callable[..., Phase2Job]
) -> None:
    guide(tmp_path)
    run = resolve_run(phase2_job(), Workspace(str(tmp_path)), str(store))
    whole = split_clips(run.clips, run.config.data.protocol, "val")
    usable = PHASE2.usable_split(run.config, whole)
    assert usable.test.tolist() == run.split.test.tolist()
    assert PHASE2.notes(whole, whole) == ()
    assert PHASE2.notes(whole, usable) == (
        "clips without video, neither trained on nor scored: 4 of 12 val clips, 2 of 18 test clips",
    )
    config = Phase2Config(data=StoreConfig(store=str(store)))
    assert PHASE2.max_data_parallel(config, 100) == 14


def test_fusion_is_of_the_clips_that_have_a_video(
    store: Path,
    tmp_path: Path,
    guide: Guide,
    phase2_job: Callable[..., Phase2Job],
    write_tables: Callable[..., None],
) -> None:
    workspace, folder = Workspace(str(tmp_path)), guide(tmp_path)
    phase1 = resolve_run(Phase1Job(data=DataConfig(store=str(store))), workspace, str(store))
    write_tables(phase1, *MODALITIES, folder=folder)
    run = resolve_run(phase2_job(), workspace, str(store))
    write_tables(run, VIDEO)
    tables = PHASE2.network_tables(run)
    metrics = PHASE2.write_fusion(run, tables)
    expected = fuse(keep_shared_clips([tables[member]["test"] for member in (VIDEO, *MODALITIES)]))
    written = read_scores(f"{run.folder.uri}/{scores_file(FUSION, 'test')}")
    assert metrics["test/top1"] == top1(expected) == top1(written)
    assert written.sample_ids == expected.sample_ids and len(written) == len(run.split.test)
    results = PHASE2.guide_results(run, tables)
    assert list(results) == list(MODALITIES) and results["joint"].epoch == 2


def test_lost_tables_of_the_guide_are_named(
    store: Path,
    tmp_path: Path,
    guide: Guide,
    phase2_job: Callable[..., Phase2Job],
    write_tables: Callable[..., None],
) -> None:
    guide(tmp_path)
    run = resolve_run(phase2_job(), Workspace(str(tmp_path)), str(store))
    write_tables(run, VIDEO)
    with pytest.raises(InputError, match="The finished run first has no readable scores of joint"):
        PHASE2.network_tables(run)
