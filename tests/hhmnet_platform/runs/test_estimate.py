"""The estimate of a run, and the lines that show it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from video_files import write_video_store

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.trainer import make_encoder
from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.runs.estimate import (
    Estimate,
    data_lines,
    described_input,
    estimate,
    format_cost,
    plan_lines,
)
from hhmnet_platform.runs.phase import StepMeasurement
from hhmnet_platform.runs.resolve import resolve_run
from hhmnet_platform.storage.workspace import Workspace

PLAN = MeshPlan((2, 4), 1, False, 1)
PARAMETERS = {"joint": 2_000_000}
ESTIMATE = Estimate(
    plan=PLAN,
    clips=(1000, 100, 200),
    batch=16,
    steps=63,
    epochs=10,
    measured=(StepMeasurement(2.0, PARAMETERS), StepMeasurement(1.0, PARAMETERS)),
    where="this machine",
    price=1.5,
)


class Run:
    notes = ("2 of 9 clips have no video",)


def test_cost_is_workers_times_hours_times_price() -> None:
    cost = format_cost(4, 5400.0, 1.2)
    assert cost == "about 7.20 (4 workers for 1.50 h at 1.2 per hour each)"
    assert "(1 worker for 1.50 h" in format_cost(1, 5400.0, 1.2)


def test_both_ends_of_a_range_are_shown() -> None:
    lines = ESTIMATE.lines()
    heads = [line.split(maxsplit=1)[0] for line in lines]
    assert heads[3:] == ["with", "batch", "time", "cost"] * 2
    assert lines[3].startswith("with 2      2 CPU workers: 2 data-parallel x 1 modality-parallel")
    assert lines[4] == "batch       16 clips, 8 per worker"
    assert lines[8] == "batch       16 clips, 4 per worker"
    seconds = [ESTIMATE.seconds(each) for each in (2.0, 1.0)]
    assert seconds[0] > 1.9 * seconds[1]
    assert lines[6] == f"cost        {format_cost(2, seconds[0], 1.5)}"
    assert lines[10] == f"cost        {format_cost(4, seconds[1], 1.5)}"


def test_a_fixed_run_without_a_price_has_neither_ends_nor_cost() -> None:
    fixed = replace(ESTIMATE, plan=PLAN.at_size(4), measured=ESTIMATE.measured[1:], price=0.0)
    heads = [line.split(maxsplit=1)[0] for line in fixed.lines()]
    assert heads == ["parameters", "steps", "disk", "batch", "time"]


def test_scoring_in_views_takes_so_many_times_as_long() -> None:
    one, four, seven = (replace(ESTIMATE, views=n).seconds(1.0) for n in (1, 4, 7))
    evaluated = 63 * (100 * 10 + 100 + 200) / 1000  # steps of val in each epoch, val and test
    assert four - one == pytest.approx(seven - four) == pytest.approx(3 * 0.35 * evaluated)


@pytest.mark.parametrize(
    ("there", "noted"),
    [
        (Resources("the cluster", ((4, 0),)), []),
        (Resources("the cluster", ((1, 0),), ((8, 0),)), ["room for 1 worker now: the run waits"]),
        (Resources("the cluster", ((4, 0),), is_driver_on_head=False), ["not on the head node"]),
    ],
)
def test_the_plan_names_the_nodes_and_what_is_amiss(there: Resources, noted: list[str]) -> None:
    lines = plan_lines(Run(), PLAN, there)  # type: ignore[arg-type]
    assert lines[:2] == [f"nodes       {there.list_nodes()}", f"mesh        {PLAN}"]
    assert lines[-1] == "note        2 of 9 clips have no video"
    assert len(lines) == 3 + len(noted)
    for said, line in zip(noted, lines[2:], strict=False):
        assert said in line


@pytest.mark.parametrize("patch", [4, 8])
def test_estimate_measures_a_step_of_the_run(tmp_path: Path, patch: int) -> None:
    store = str(write_video_store(tmp_path / "store"))
    job = Phase1Job(
        data=DataConfig(store=store, frames=8),
        model=ModelConfig(widths=[4], heads=1, embedding=4, patch=patch),
        optim=OptimConfig(epochs=3, batch=5),
        workspace=str(tmp_path),
    )
    run = resolve_run(job, Workspace(str(tmp_path)), store)
    assert not any("scoring" in line for line in data_lines(run))
    config = replace(run.config, augment=AugmentConfig(views=3))  # type: ignore[arg-type]
    assert data_lines(replace(run, config=config))[-1].startswith("scoring     3 views of each")
    plan = MeshPlan((1,), None, False, 1)
    found = estimate(run, plan, Resources("this machine", ((1, 0),)), price=2.0)
    train, val, test = found.clips
    assert (train, val, test) == (24, 12, 18)
    assert (found.steps, found.epochs, found.where) == (5, 3, "this machine")
    encoder = make_encoder(run.config, "bone", run.clips)  # type: ignore[arg-type]
    assert found.parameters["bone"] == sum(p.numel() for p in encoder.parameters())
    assert found.seconds(0.0) < found.seconds(found.measured[0].seconds) < 100


@pytest.mark.parametrize(
    ("data", "size", "view"),
    [
        ({}, "sizes as recorded", "no turn"),
        ({"normalise_size": True}, "bones of mean length 1, so that body size does not", "no turn"),
        ({"align": True}, "sizes as recorded", "turned by the shoulders, so that the view does"),
        ({"align": True, "align_by": "torso"}, "sizes as recorded", "turned by the torso"),
        ({"normalise_axes": True}, "each axis scaled to [-1, 1]", "no turn"),
    ],
)
def test_what_is_normalised_is_said_with_its_reason(
    data: dict[str, Any], size: str, view: str
) -> None:
    described = described_input(DataConfig(frames=40, **data))
    assert described.startswith("40 frames a clip, ") and size in described and view in described
    assert "spaced 50% by motion" in described
    assert "motion" not in described_input(DataConfig(motion_share=0))
    assert "spaced 25% by motion" in described_input(DataConfig(motion_share=0.25))
