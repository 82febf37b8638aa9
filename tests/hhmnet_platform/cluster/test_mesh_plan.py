import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.mesh_plan import MeshPlan, make_plan, parse_workers
from hhmnet_platform.cluster.resources import Resources

LAPTOP = Resources("this machine", ((2, 0),))
WORKSTATION = Resources("this machine", ((64, 0),))
GPUS = Resources("the cluster", ((16, 4), (16, 4)))
GROWING = Resources("the cluster", ((4, 0),), ((4, 0), (16, 4), (16, 4)))


@pytest.mark.parametrize(
    ("resources", "given", "expected"),
    [
        (LAPTOP, {}, (2, 2, False, 1)),
        (LAPTOP, {"workers": 1}, (1, 1, False, 2)),
        (LAPTOP, {"workers": 2, "modality_parallel": 1}, (2, 1, False, 1)),
        (LAPTOP, {"modality_parallel": 1}, (2, 1, False, 1)),
        (Resources("this machine", ((1, 0),)), {}, (1, 1, False, 1)),
        (Resources("this machine", ((3, 0),)), {}, (3, 1, False, 1)),
        (WORKSTATION, {}, (4, 4, False, 16)),
        (WORKSTATION, {"workers": 8}, (8, 4, False, 8)),
        (WORKSTATION, {"workers": 6}, (6, 2, False, 10)),
        (GPUS, {}, (8, 4, True, 4)),
        (GPUS, {"workers": 2}, (2, 2, True, 8)),
        (GPUS, {"gpu": False}, (4, 4, False, 8)),
        (GPUS, {"cpus_per_worker": 8}, (4, 4, True, 8)),
        # All CPUs of a worker are on one node.
        (Resources("the cluster", ((3, 0), (3, 0))), {"workers": 4}, (4, 4, False, 1)),
        (Resources("the cluster", ((3, 0), (3, 0))), {"workers": 1}, (1, 1, False, 3)),
        # A cluster that still has to grow.
        (GROWING, {}, (8, 4, True, 4)),
        (GROWING, {"workers": 2}, (2, 2, True, 8)),
    ],
)
def test_plan_has_defaults_for_what_is_left_open(
    resources: Resources, given: dict[str, int], expected: tuple[int, int, bool, int]
) -> None:
    plan = make_plan(resources, **given)
    assert (plan.workers, plan.modality_parallel, plan.gpu, plan.cpus_per_worker) == expected
    assert plan.data_parallel * plan.modality_parallel == plan.workers


@pytest.mark.parametrize(
    ("resources", "given", "message"),
    [
        (LAPTOP, {"modality_parallel": 8}, "modality_parallel must be 1, 2 or 4"),
        (LAPTOP, {"modality_parallel": 3}, "must be 1, 2 or 4"),
        (LAPTOP, {"workers": 3, "modality_parallel": 2}, "multiple of 2"),
        (LAPTOP, {"modality_parallel": 4}, "this machine has 2 CPUs and 0 GPUs, room for 2"),
        (LAPTOP, {"workers": 3}, "3 workers of 1 CPU do not fit: this machine has 2 CPUs"),
        (LAPTOP, {"workers": 2, "cpus_per_worker": 2}, "room for 1"),
        (LAPTOP, {"workers": 0}, "workers must be at least 1"),
        (LAPTOP, {"cpus_per_worker": 0}, "cpus_per_worker must be at least 1"),
        (LAPTOP, {"gpu": True}, "--gpu true was given, but this machine has 2 CPUs and 0 GPUs"),
        (GPUS, {"workers": 9}, "9 workers of 1 CPU and a GPU do not fit"),
        (GROWING, {"workers": 9}, "9 workers of 1 CPU and a GPU do not fit"),
        (LAPTOP, {"workers": "3:8"}, "3 workers of 1 CPU do not fit"),
        (GPUS, {"workers": "8:2"}, "MIN:MAX with the smaller first, but is 8:2"),
        (GPUS, {"workers": "0:2"}, "at least 1, but is 0:2"),
        (GPUS, {"workers": "many"}, "a number or MIN:MAX, such as 2:8, but is many"),
        (GPUS, {"workers": "2:"}, "a number or MIN:MAX"),
        (GPUS, {"workers": "5:7", "modality_parallel": 4}, "No number of workers in 5:7 can be"),
        (Resources("the cluster", ()), {}, "^1 worker of 1 CPU does not fit"),
    ],
)
def test_plan_that_does_not_fit_is_refused(
    resources: Resources, given: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_plan(resources, **given)


@pytest.mark.parametrize(
    ("workers", "modality_parallel", "sizes", "each_modality_parallel"),
    [
        ("2:8", None, (2, 3, 4, 5, 6, 7, 8), (2, 1, 4, 1, 2, 1, 4)),
        ("2:8", 2, (2, 4, 6, 8), (2, 2, 2, 2)),
        ("3:8", 4, (4, 8), (4, 4)),
        ("1:3", 1, (1, 2, 3), (1, 1, 1)),
        ("4:4", None, (4,), (4,)),
        ("2", None, (2,), (2,)),
    ],
)
def test_range_of_workers_keeps_the_sizes_that_a_mesh_can_have(
    workers: str,
    modality_parallel: int | None,
    sizes: tuple[int, ...],
    each_modality_parallel: tuple[int, ...],
) -> None:
    plan = make_plan(GPUS, workers=workers, modality_parallel=modality_parallel)
    assert plan.sizes == sizes and plan.is_elastic == (len(sizes) > 1)
    assert tuple(plan.modality_parallel_at(size) for size in sizes) == each_modality_parallel
    assert [each.workers for each in plan.extremes()] == sorted({sizes[0], sizes[-1]})
    assert not plan.at_size(sizes[0]).is_elastic


def test_numbers_of_workers_have_a_limit_and_a_default() -> None:
    assert parse_workers(None, 4) == ()
    assert parse_workers(100_000, None) == (100_000,)
    with pytest.raises(InputError, match="workers must be at most 100000, but is 1:100001"):
        parse_workers("1:100001", None)


def test_range_may_be_larger_than_the_resources() -> None:
    plan = make_plan(LAPTOP, workers="2:8")
    assert (plan.sizes[-1], plan.cpus_per_worker) == (8, 1)


def test_largest_size_within_a_capacity() -> None:
    plan = make_plan(GPUS, workers="2:8", modality_parallel=2)
    capacities = (0, 1, 2, 3, 5, 100)
    assert [plan.largest_size_within(each) for each in capacities] == [0, 0, 2, 2, 4, 8]


def test_sizes_that_the_batch_cannot_be_split_over_are_left_out() -> None:
    plan = make_plan(GPUS, workers="1:8")
    assert plan.limit_data_parallel(1).sizes == (1, 2, 4)  # at most one encoder per worker
    assert plan.limit_data_parallel(3).sizes == (1, 2, 3, 4, 6, 8)
    with pytest.raises(InputError, match="split over 1 data-parallel workers, but 5 to 8"):
        make_plan(GPUS, workers="5:8").limit_data_parallel(1)
    fixed = make_plan(GPUS, workers=3)
    assert fixed.limit_data_parallel(1) == fixed  # the trainer refuses it, and knows why


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        (
            make_plan(LAPTOP),
            "2 CPU workers: 1 data-parallel x 2 modality-parallel; 2 networks and 1 CPU per worker",
        ),
        (
            MeshPlan((1,), None, True, 8, networks=1),
            "1 GPU worker: 1 data-parallel x 1 modality-parallel; 1 network and 8 CPUs per worker",
        ),
        (
            MeshPlan((2, 3, 4), None, False, 1),
            "2 to 4 CPU workers; modality-parallel: the largest of 4, 2, 1 that divides their "
            "number",
        ),
        (
            MeshPlan((2, 4, 6), 2, True, 8),
            "2 to 6 GPU workers in steps of 2; modality-parallel: 2",
        ),
        (
            MeshPlan((1, 2, 4), None, True, 8),
            "1, 2 or 4 GPU workers; modality-parallel: the largest of 4, 2, 1 that divides their "
            "number",
        ),
    ],
)
def test_plan_as_text(plan: MeshPlan, text: str) -> None:
    assert str(plan) == text
