"""The result of a trained run: figures of each member, with and without copies, and fusions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hhmnet_core.fusion.scores import FUSION, VIDEO
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.runs.result import ScoredRun, summarise
from hhmnet_platform.storage.results import RunResult
from hhmnet_platform.storage.run_folder import RunFolder
from hhmnet_platform.storage.workspace import Workspace

PLAN = MeshPlan((2,), 2, False, 1)
Tables = Callable[..., None]


@pytest.mark.parametrize("selection", ["val", "literature"])
def test_copies_of_training_clips_have_figures_of_their_own(
    store: Path, tmp_path: Path, write_tables: Tables, selection: str
) -> None:
    data = DataConfig(store=str(store), selection=selection)
    run = resolve_run(Phase1Job(data=data), Workspace(str(tmp_path)), str(store))
    test = run.split.test
    # One that was classified wrongly, one correctly.
    some = frozenset(str(run.clips.sample_ids[test[i]]) for i in (0, 5))
    every = frozenset(str(run.clips.sample_ids[i]) for i in test)
    history = [EpochRecord(1, 1.0, {name: {} for name in MODALITIES})]

    def score(copies: frozenset[str]) -> RunResult:
        write_tables(run, *MODALITIES, FUSION, copies=copies)
        return summarise(ScoredRun.complete(run), PLAN, history)

    result = score(frozenset())
    assert result.copies == () and result.members[FUSION].test_top1_without_copies is None
    assert (result.fitted is None) == (selection == "literature")
    result = score(some)
    assert result.copies == tuple(sorted(some))
    without = pytest.approx((len(test) - 4) / (len(test) - 2))
    for member in (*MODALITIES, FUSION):
        row = result.members[member]
        assert row.test_top1 == pytest.approx((len(test) - 3) / len(test))
        assert row.test_top1_without_copies == without
        (last,) = result.history
        assert last.metrics[member]["test/top1_without_copies"] == row.test_top1_without_copies
    if result.fitted:
        assert result.fitted.test_top1_without_copies == without
    assert score(every).members[FUSION].test_top1_without_copies is None


def test_fitted_fusion_has_weights_metrics_and_tables(
    store: Path, tmp_path: Path, write_tables: Tables
) -> None:
    data = DataConfig(store=str(store))
    run = resolve_run(Phase1Job(data=data), Workspace(str(tmp_path)), str(store))
    write_tables(run, *MODALITIES, FUSION)
    metrics = {"joint": {"best/epoch": 1.0}, **{m: {} for m in MODALITIES[1:]}}
    history = [EpochRecord(1, 1.5, {}), EpochRecord(2, 2.0, metrics)]
    result = summarise(ScoredRun.complete(run), PLAN, history)
    assert result.fitted and sum(result.fitted.weights.values()) == pytest.approx(1)
    assert result.members["joint"].epoch == 1 and result.members["bone"].epoch == 2
    assert (result.seconds, result.checkpoint, result.mesh) == (3.5, "epoch-00002", str(PLAN))
    fusion = result.history[-1].metrics[FUSION]
    assert fusion["fitted/val_top1"] == result.fitted.val_top1
    assert not [name for name in fusion if name.startswith("fitted/weight")]  # params in MLflow
    assert {"fitted-val.parquet", "fitted-test.parquet"} <= set(run.folder.sub("scores").names())


def test_phase2_is_fused_with_its_guide_on_filmed_clips(
    store: Path,
    tmp_path: Path,
    guide: Callable[..., RunFolder],
    phase2_job: Callable[..., Phase2Job],
    write_tables: Tables,
) -> None:
    workspace = Workspace(str(tmp_path))
    folder = guide(tmp_path)
    phase1 = resolve_run(Phase1Job(data=DataConfig(store=str(store))), workspace, str(store))
    write_tables(phase1, *MODALITIES, folder=folder)
    run = resolve_run(phase2_job(), workspace, str(store))
    write_tables(run, VIDEO)
    scored = ScoredRun.complete(run)
    assert list(scored.tables) == [*MODALITIES, VIDEO, FUSION]
    test = {"test/top1", "test/mean_class_accuracy", "test/loss"}
    assert set(scored.fusion_metrics) == {"best/val_top1", *test}
    result = summarise(scored, PLAN, [EpochRecord(1, 1.0, {VIDEO: {}})])
    assert list(result.members) == [*MODALITIES, VIDEO, FUSION]
    assert result.not_filmed == len(phase1.split.test) - len(run.split.test) == 2
    assert result.members["joint"].epoch == 2  # as its own run selected it
    assert result.fitted and list(result.fitted.weights) == [*MODALITIES, VIDEO]
    read = ScoredRun.read(run)
    assert read.fusion_metrics == {}
    assert {name: len(table["test"]) for name, table in read.tables.items()} == {
        name: len(table["test"]) for name, table in scored.tables.items()
    }
