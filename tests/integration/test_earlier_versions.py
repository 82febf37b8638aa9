"""What version 0.1.0 made is read, shown and resumed: see tests/examples/README.md."""

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from earlier_version import ENSEMBLE, FUSION, PHASE1, PHASE2, unpack

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig, StoreConfig
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_platform.fusion.ensemble_result import parse_ensemble
from hhmnet_platform.fusion.search_weights import FusionSearch, run_fusion_search
from hhmnet_platform.fusion.select_ensemble import EnsembleJob, run_ensemble
from hhmnet_platform.runs.config import Phase1Job, Phase2Job
from hhmnet_platform.runs.launch import run_phase
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.storage.workspace import Workspace

pytestmark = pytest.mark.integration
SCRIPT = Path(__file__).parents[2] / "experiments" / "phase1.py"
STOPPED = {"seed": 2, "optim": OptimConfig(epochs=8, batch=8)}  # `unfinished` and `older`


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return unpack(tmp_path_factory.mktemp("earlier"))


def phase1_job(store: Path, workspace: Path, **changes: Any) -> Phase1Job:
    settings: dict[str, Any] = {
        "data": DataConfig(store=str(store), frames=8, motion_share=0),
        "augment": AugmentConfig(motion_share=0, joint_noise=0.01, bone_noise=0),
        "model": ModelConfig(
            widths=[4], heads=1, embedding=4, re_dmt=1, joint_scale=0.02, context=[]
        ),
        "optim": OptimConfig(epochs=2, batch=8),
        "workspace": str(workspace),
    }
    return Phase1Job(**settings | changes)


def test_phase1_run_has_its_name_and_is_shown(
    example: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_phase(phase1_job(*example)) == PHASE1
    output = capsys.readouterr().out
    assert f"Run {PHASE1} is complete" in output
    assert "fusion, equal weights" in output and "experiment example/cross-view" in output


def test_phase2_run_has_its_name_and_is_shown(
    example: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    store, workspace = example
    job = Phase2Job(
        data=StoreConfig(store=str(store)),
        video=VideoModelConfig(widths=[4], depths=[1], embedding=4),
        optim=OptimConfig(epochs=2, batch=8, lr=3e-3),
        workspace=str(workspace),
        phase1=PHASE1,
    )
    assert run_phase(job) == PHASE2
    output = capsys.readouterr().out
    assert f"Run {PHASE2} is complete" in output and "1 test clip without video" in output


def test_fusion_search_is_shown_again(
    example: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, workspace = example
    (file,) = workspace.glob(f"fusions/{FUSION}/fusion.json")
    before = file.read_bytes()
    run_fusion_search(
        FusionSearch(runs=[PHASE1, PHASE2], trials=1, evaluations=20, workspace=str(workspace))
    )
    output = capsys.readouterr().out
    assert f"{file.parent.name} exists already: nothing was searched" in output
    assert "searched" in output and file.read_bytes() == before


def test_ensemble_is_selected_again(
    example: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, workspace = example
    (file,) = workspace.glob(f"ensembles/{ENSEMBLE}/ensemble.json")
    before = file.read_bytes()
    with sqlite3.connect(workspace / "mlflow.db") as database:  # runs that were started later
        database.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE status = 'RUNNING'")
    database.close()
    run_ensemble(EnsembleJob(experiment="example/cross-view", workspace=str(workspace)))
    assert "equal weights: the difference is within the noise" in capsys.readouterr().out
    assert file.read_bytes() == before
    # The greedy selection alone chose the earlier one. Now val has to tell the networks apart.
    (new,) = set(workspace.glob("ensembles/*/ensemble.json")) - {file}
    one, other = (parse_ensemble(each.read_bytes(), str(each)) for each in (file, new))
    assert one.basis is None and other.basis and other.basis.is_equal
    single = {entry.name: entry for entry in one.leaderboard if "/" in entry.name}
    again = {entry.name: entry for entry in other.leaderboard if "/" in entry.name}
    assert single == again


@pytest.mark.parametrize("name", ["unfinished", "older"])
def test_stopped_run_is_claimed_and_its_checkpoint_resumed(
    example: tuple[Path, Path], name: str
) -> None:
    store, workspace = example
    job = phase1_job(store, workspace, **STOPPED, name=name)
    run = resolve_run(job, Workspace(str(workspace)), str(store))
    recorded = run.folder.read_json("science.json") or {}
    assert ("augment.roll" in recorded) == (name == "unfinished")
    run.folder.claim(run.identity)
    done = run.folder.latest_point().epoch
    assert 0 < done < 8 and run.folder.recover() is None
    checkpoint = workspace / "runs" / name / f"epoch-{done:05d}"
    assert isinstance(run.config, Phase1Config)
    reports = list(fit(run.config, load_clips(store), Mesh(), resume=checkpoint))
    assert [report.epoch for report in reports] == list(range(done + 1, 9))


def test_stopped_run_with_another_config_is_refused(example: tuple[Path, Path]) -> None:
    store, workspace = example
    changed = phase1_job(store, workspace, **{**STOPPED, "seed": 3}, name="older")
    run = resolve_run(changed, Workspace(str(workspace)), str(store))
    with pytest.raises(InputError, match="older exists with another seed: give another --name"):
        run.folder.claim(run.identity)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unfinished", "older"])
def test_stopped_run_is_trained_to_its_end(start: Any, tmp_path: Path, name: str) -> None:
    store, workspace = unpack(tmp_path)
    process = start(
        sys.executable, SCRIPT, f"--data.store={store}", f"--workspace={workspace}",
        "--model.widths=[4]", "--model.heads=1", "--model.embedding=4", "--model.re_dmt=1",
        "--model.joint_scale=0.02", "--model.context=[]", "--data.frames=8",
        "--data.motion_share=0", "--augment.motion_share=0",
        "--augment.joint_noise=0.01", "--augment.bone_noise=0",
        "--optim.epochs=8", "--optim.batch=8", "--seed=2", "--workers=1", f"--name={name}",
    )  # fmt: skip
    assert process.finish() == 0, process.output
    assert "resuming after epoch" in process.output
    assert (workspace / "runs" / name / "result.json").exists()
