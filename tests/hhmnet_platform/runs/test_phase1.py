"""Phase 1: nothing guides it, and its workers score the fusion."""

from collections.abc import Callable
from pathlib import Path

import torch

from hhmnet_core.fusion.scores import FUSION
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.phases import PHASES
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.storage.workspace import Workspace

PHASE1 = PHASES["phase1"]
MODEL = ModelConfig(widths=[4], heads=1, embedding=4)


def test_batch_is_split_only_where_clips_are_independent() -> None:
    assert PHASE1.max_data_parallel(Phase1Config(), 100) == 14  # 100 clips in 7 batches
    baseline = Phase1Config(model=ModelConfig(name="ctr_gcn"))
    assert PHASE1.max_data_parallel(baseline, 100) == 1


def test_nothing_guides_it(tmp_path: Path) -> None:
    job = Phase1Job()
    assert PHASE1.guided_by(job, "other") is job and PHASE1.command_options(job) == {}
    assert PHASE1.default_store(job, Workspace(str(tmp_path))) == ""
    assert PHASE1.objective == FUSION


def test_its_tables_are_those_of_the_modalities(
    store: Path, tmp_path: Path, write_tables: Callable[..., None]
) -> None:
    job = Phase1Job(data=DataConfig(store=str(store)))
    run = resolve_run(job, Workspace(str(tmp_path)), str(store))
    write_tables(run, *MODALITIES)
    tables = PHASE1.network_tables(run)
    assert list(tables) == list(MODALITIES)
    assert PHASE1.write_fusion(run, tables) == {} == PHASE1.guide_results(run, tables)
    assert PHASE1.extra_figures(run, tables, None) == {}


def test_step_is_measured_with_the_parameters_of_each_encoder(store: Path, tmp_path: Path) -> None:
    job = Phase1Job(data=DataConfig(store=str(store), frames=8), model=MODEL)
    run = resolve_run(job, Workspace(str(tmp_path)), str(store))
    plan = MeshPlan((1,), None, False, 1)
    step = PHASE1.measure_step(run.config, run.clips, "", plan, torch.device("cpu"))
    assert step.seconds > 0 and set(step.parameters) == set(MODALITIES)
    assert len(set(step.parameters.values())) == 1
