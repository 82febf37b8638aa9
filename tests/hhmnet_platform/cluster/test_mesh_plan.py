import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.mesh_plan import MeshPlan, make_plan
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.runs.launch import mesh_tags

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
        # A worker's CPUs are of one node.
        (Resources("the cluster", ((3, 0), (3, 0))), {"workers": 4}, (4, 4, False, 1)),
        (Resources("the cluster", ((3, 0), (3, 0))), {"workers": 1}, (1, 1, False, 3)),
        # A cluster whose workers have not come yet.
        (GROWING, {}, (8, 4, True, 4)),
        (GROWING, {"workers": 2}, (2, 2, True, 8)),
    ],
)
def test_plan_fills_in_what_is_left_open(
    resources: Resources, given: dict[str, int], expected: tuple[int, int, bool, int]
) -> None:
    plan = make_plan(resources, **given)
    assert (plan.workers, plan.modality_parallel, plan.gpu, plan.cpus_per_worker) == expected
    assert plan.data_parallel * plan.modality_parallel == plan.workers


@pytest.mark.parametrize(
    ("resources", "given", "said"),
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
        (Resources("the cluster", ()), {}, "do not fit"),
    ],
)
def test_plan_that_does_not_fit_says_what_there_is(
    resources: Resources, given: dict[str, int], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        make_plan(resources, **given)


def test_plan_reads_as_a_mesh() -> None:
    assert str(make_plan(LAPTOP)) == (
        "2 CPU workers = 1 (data) x 2 (modality), 2 networks each, 1 CPU each"
    )


@pytest.mark.parametrize(
    ("workers", "given", "sizes", "splits"),
    [
        ("2:8", None, (2, 3, 4, 5, 6, 7, 8), (2, 1, 4, 1, 2, 1, 4)),
        ("2:8", 2, (2, 4, 6, 8), (2, 2, 2, 2)),
        ("3:8", 4, (4, 8), (4, 4)),
        ("1:3", 1, (1, 2, 3), (1, 1, 1)),
        ("4:4", None, (4,), (4,)),
        ("2", None, (2,), (2,)),
    ],
)
def test_a_range_of_workers_is_made_of_what_the_mesh_can_be(
    workers: str, given: int | None, sizes: tuple[int, ...], splits: tuple[int, ...]
) -> None:
    plan = make_plan(GPUS, workers=workers, modality_parallel=given)
    assert plan.sizes == sizes and plan.is_elastic == (len(sizes) > 1)
    assert tuple(plan.split(size) for size in sizes) == splits
    assert [end.workers for end in plan.ends()] == sorted({sizes[0], sizes[-1]})


def test_a_range_may_be_larger_than_what_there_is_now() -> None:
    plan = make_plan(LAPTOP, workers="2:8")
    assert (plan.sizes[-1], plan.cpus_per_worker) == (8, 1)


def test_the_largest_size_with_room_is_taken() -> None:
    plan = make_plan(GPUS, workers="2:8", modality_parallel=2)
    assert [plan.fitting(room) for room in (0, 1, 2, 3, 5, 100)] == [0, 0, 2, 2, 4, 8]


def test_sizes_that_the_training_does_not_take_are_left_out() -> None:
    plan = make_plan(GPUS, workers="1:8")
    assert plan.limited(1).sizes == (1, 2, 4)  # D = 1: one encoder a worker at most
    assert plan.limited(3).sizes == (1, 2, 3, 4, 6, 8)
    with pytest.raises(InputError, match="split over 1 data-parallel workers, but 5 to 8"):
        make_plan(GPUS, workers="5:8").limited(1)
    fixed = make_plan(GPUS, workers=3)
    assert fixed.limited(1) == fixed  # the trainer says what is wrong with it


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (
            MeshPlan((2, 3, 4), None, False, 1),
            "2 to 4 CPU workers, W = D x P, P the largest of 4, 2, 1 that divides W",
        ),
        (MeshPlan((2, 4, 6), 2, True, 8), "2 to 6, in steps of 2, GPU workers, W = D x P, P 2"),
        (
            MeshPlan((1, 2, 4), None, True, 8),
            "1, 2 or 4 GPU workers, W = D x P, P the largest of 4, 2, 1 that divides W",
        ),
    ],
)
def test_a_range_reads_as_its_rule(plan: MeshPlan, said: str) -> None:
    assert str(plan) == said


def test_mlflow_is_told_the_range() -> None:
    assert mesh_tags(make_plan(GPUS, workers="2:8")) == {
        "hhmnet.workers": "2:8",
        "hhmnet.modality_parallel": "4, 2 or 1",
        "hhmnet.device": "cuda",
    }
    assert mesh_tags(make_plan(LAPTOP))["hhmnet.workers"] == "2"
    assert mesh_tags(make_plan(LAPTOP))["hhmnet.modality_parallel"] == "2"
