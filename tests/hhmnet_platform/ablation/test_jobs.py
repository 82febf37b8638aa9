"""The bench from a file: real trainings, of which only missing ones are repeated."""

import json
from pathlib import Path

import pytest
from earlier_version import PHASE1, unpack
from made_stores import write_small_store

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.training.optim import OptimConfig
from hhmnet_platform.ablation.jobs import (
    Phase1Ablation,
    Phase2Ablation,
    guide_of,
    run_phase1_ablation,
    run_phase2_ablation,
)
from hhmnet_platform.commands.main import load
from hhmnet_platform.tracking.queries import member_runs

DESIGN = """
reference: whole
threshold: {pairs: 2}
seeds: [1]
modalities: [joint]
benches:
  - {protocol: xview}
  - {protocol: xview, selection: fold-1-of-3, steps: 2, name: people}
variants:
  whole: {}
  no mask: {model.mask: false}
"""


@pytest.fixture
def job(tmp_path: Path, workspace: Path, in_process: list[str]) -> Phase1Ablation:
    write_small_store(tmp_path / "store")
    (tmp_path / "bench.yaml").write_text(DESIGN)
    return Phase1Ablation(
        DataConfig(store=str(tmp_path / "store"), frames=8, selection="last_epoch"),
        ModelConfig(widths=[8], heads=2),
        optim=OptimConfig(epochs=1, batch=4, warmup=0),
        variants_file=str(tmp_path / "bench.yaml"),
        out=str(tmp_path / "out.jsonl"),
        workspace=str(workspace),
        tracking_uri="",
        knock_outs=True,
    )


def test_missing_runs_alone_are_trained(
    job: Phase1Ablation, capsys: pytest.CaptureFixture[str]
) -> None:
    job.variants = ["no mask"]  # the reference joins it
    job.benches = [{"protocol": "xview"}]
    run_phase1_ablation(job)
    out = Path(job.out)
    first = out.read_text().splitlines()
    assert [json.loads(line)["variant"] for line in first] == ["whole", "no mask"]
    assert "undecided: 1 of 2 pairs" in capsys.readouterr().out
    job.variants = job.benches = None
    run_phase1_ablation(job)
    lines = out.read_text().splitlines()
    assert lines[:2] == first and len(lines) == 4
    runs = [json.loads(line) for line in lines]
    assert [run["bench"] for run in runs] == ["made xview"] * 2 + ["people"] * 2
    assert [run["split"] for run in runs] == ["test"] * 2 + ["val"] * 2
    assert all({*run["top1"]} == {*run["log_loss"]} == {"joint"} for run in runs)
    printed = capsys.readouterr().out
    assert "4 runs; a difference in log-loss to 'whole' counts beyond 2 standard errors" in printed
    assert "| variant | pairs | top-1 | log-loss made xview | log-loss people | CPU s |" in printed
    assert "| no mask | static map zero | 2 | " in printed
    before = out.read_bytes()
    run_phase1_ablation(job)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reference": "all"}, "Unknown reference 'all'; known are whole, no mask"),
        ({"variants": ["whole", "whole"]}, "variants are"),
        ({"variants": ["all"]}, "Unknown variant 'all'"),
        ({"modalities": []}, r"modalities must be different ones of .* but are \[\]"),
        ({"modalities": ["joint", "joint"]}, "modalities must be different ones"),
        ({"benches": [{}, {}]}, "benches are"),
        ({"seeds": [1, 1]}, "seeds are"),
        ({"model": ModelConfig(name="ctr_gcn")}, "--knock_outs is for the ST&ST encoder"),
        ({"data": DataConfig()}, "A bench has no store: give one"),
        ({"data": DataConfig(), "variants_file": ""}, "--data.store is missing"),
    ],
)
def test_what_cannot_be_run_is_named_before_anything_is_trained(
    job: Phase1Ablation, changes: dict[str, object], message: str
) -> None:
    for name, value in changes.items():
        setattr(job, name, value)
    with pytest.raises(InputError, match=message):
        run_phase1_ablation(job)
    assert not Path(job.out).exists()


def test_other_benches_and_seeds_continue_the_same_ablation(
    job: Phase1Ablation, workspace: Path
) -> None:
    job.benches = [{"protocol": "xview"}]
    run_phase1_ablation(job)
    job.benches, job.seeds, job.variants = None, [1, 2], ["no mask"]
    run_phase1_ablation(job)
    (name,) = (each.name for each in (workspace / "ablations").iterdir())
    assert name.startswith("made-ablation-")
    job.optim = OptimConfig(epochs=2, batch=4, warmup=0)
    run_phase1_ablation(job)
    assert len(list((workspace / "ablations").iterdir())) == 2


def test_phase2_prints_paired_differences(
    tmp_path: Path,
    workspace: Path,
    in_process: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "earlier").mkdir()
    store, earlier = unpack(tmp_path / "earlier")
    load(
        "hhmnet",
        "ablate phase2",
        [
            f"--data.store={store}", f"--phase1={earlier}/runs/{PHASE1}",
            f"--workspace={workspace}", "--video.widths=[8]", "--video.depths=[1]",
            "--optim.epochs=1", "--optim.batch=8", "--variants=[all,neither]", "--seeds=[1]",
        ],
    )()  # fmt: skip
    assert in_process == ["all, seed 1", "neither, seed 1"]
    printed = capsys.readouterr().out
    assert "| variant | seeds | skeleton | video | fusion |" in printed
    assert "video, paired differences to 'all':" in printed
    row = printed.rpartition("| neither | 1 | ")[2].splitlines()[0]
    assert row.count(" ± - |") == 2


def test_phase2_needs_a_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.store is missing"):
        run_phase2_ablation(Phase2Ablation(phase1="nobody", workspace=str(tmp_path)))


def test_guide_of_phase2_is_found_as_in_training(tmp_path: Path) -> None:
    workspace = unpack(tmp_path)[1]
    run = workspace / "runs" / PHASE1
    tracked = member_runs(f"sqlite:///{workspace}/mlflow.db", "example/cross-view")
    run_id = next(each.run_id for each in tracked if each.run == PHASE1)
    for given in (PHASE1, str(run), run_id, f"runs:/{run_id}"):
        job = Phase2Ablation(phase1=given, workspace=str(workspace), tracking_uri="")
        assert guide_of(job) == str(run), given
    checkpoint = str(next(run.glob("epoch-*")))
    assert guide_of(Phase2Ablation(phase1=checkpoint)) == checkpoint
    for given, message in (("", "--phase1 is missing"), ("nobody", "There is no phase-1 run at ")):
        with pytest.raises(InputError, match=message):
            guide_of(Phase2Ablation(phase1=given, workspace=str(workspace)))
