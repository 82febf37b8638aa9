"""The plan of an ablation: how many runs go side by side."""

import pytest

from hhmnet_platform.ablation.plan import AblationOptions, side_by_side
from hhmnet_platform.cluster.resources import Resources


@pytest.mark.parametrize(
    ("processes", "nodes", "when_grown", "missing", "number"),
    [
        (None, ((2, 0),), (), 9, 2),
        (None, ((2, 0),), (), 1, 1),
        (1, ((2, 0),), (), 9, 1),
        (5, ((2, 0),), (), 9, 2),  # each takes a CPU
        (None, ((4, 1), (4, 1)), (), 99, 8),
        (None, ((2, 0),), ((16, 0), (16, 0)), 99, 32),
        (None, ((0, 0),), (), 9, 1),  # a CPU may come
    ],
)
def test_runs_side_by_side_are_as_many_as_cpus_and_as_asked_for(
    processes: int | None,
    nodes: tuple[tuple[int, int], ...],
    when_grown: tuple[tuple[int, int], ...],
    missing: int,
    number: int,
) -> None:
    resources = Resources("the cluster", nodes, when_grown)
    assert side_by_side(AblationOptions(processes), resources, missing) == number
