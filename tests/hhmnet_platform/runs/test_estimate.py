"""What is said of a run before it starts."""

from dataclasses import replace

import pytest

from hhmnet_platform.cluster.mesh_plan import MeshPlan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.runs.estimate import Estimate, Measured, cost, plan_lines

PLAN = MeshPlan((2, 4), 1, False, 1)
PARAMETERS = {"joint": 2_000_000}
ESTIMATE = Estimate(
    plan=PLAN,
    clips=(1000, 100, 200),
    batch=16,
    steps=63,
    epochs=10,
    measured=(Measured(2.0, PARAMETERS), Measured(1.0, PARAMETERS)),
    where="this machine",
    price=1.5,
)


class Run:
    notes = ("2 of 9 clips have no video",)


def test_cost_is_workers_times_hours_times_price() -> None:
    said = cost(4, 5400.0, 1.2)
    assert said == "about 7.20 (4 workers for 1.50 h at 1.2 an hour each)"


def test_both_ends_of_a_range_are_said() -> None:
    lines = ESTIMATE.lines()
    heads = [line.split(maxsplit=1)[0] for line in lines]
    assert heads[4:] == ["of", "batch", "time", "cost"] * 2
    assert lines[4].startswith("with 2      2 CPU workers: 2 data-parallel x 1 modality-parallel")
    assert lines[5] == "batch       16 clips, 8 on a worker"
    assert lines[9] == "batch       16 clips, 4 on a worker"
    seconds = [ESTIMATE.seconds(each) for each in (2.0, 1.0)]
    assert seconds[0] > 1.9 * seconds[1]
    assert lines[7] == f"cost        {cost(2, seconds[0], 1.5)}"
    assert lines[11] == f"cost        {cost(4, seconds[1], 1.5)}"


def test_a_fixed_run_without_a_price_has_neither_ends_nor_cost() -> None:
    fixed = replace(ESTIMATE, plan=PLAN.at_size(4), measured=ESTIMATE.measured[1:], price=0.0)
    heads = [line.split(maxsplit=1)[0] for line in fixed.lines()]
    assert heads == ["clips", "parameters", "steps", "disk", "batch", "time"]


@pytest.mark.parametrize(
    ("there", "noted"),
    [
        (Resources("the cluster", ((4, 0),)), []),
        (Resources("the cluster", ((1, 0),), ((8, 0),)), ["room for 1 workers now: the cluster"]),
        (Resources("the cluster", ((4, 0),), driver_on_head=False), ["not on the head node"]),
    ],
)
def test_the_plan_names_the_nodes_and_what_is_amiss(there: Resources, noted: list[str]) -> None:
    lines = plan_lines(Run(), PLAN, there)  # type: ignore[arg-type]
    assert lines[:2] == [f"nodes       {there.list_nodes()}", f"mesh        {PLAN}"]
    assert lines[-1] == "note        2 of 9 clips have no video"
    assert len(lines) == 3 + len(noted)
    for said, line in zip(noted, lines[2:], strict=False):
        assert said in line
