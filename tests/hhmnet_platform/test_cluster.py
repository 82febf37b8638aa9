import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster import Resources, cluster_address, make_plan, nodes_to_come

LAPTOP = Resources("this machine", ((2, 0),))
WORKSTATION = Resources("this machine", ((64, 0),))
GPUS = Resources("the cluster", ((16, 4), (16, 4)))


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


def test_cluster_address_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert cluster_address() == "10.0.0.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert cluster_address() is None
    monkeypatch.delenv("RAY_ADDRESS")
    assert cluster_address() is None


def test_dashboards_address_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:8265")
    with pytest.raises(InputError, match="ray job submit"):
        cluster_address()


def test_cluster_that_grows_says_what_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nodes_to_come() == ()
    monkeypatch.setenv("HHMNET_NODES", "2*46:4, 1*16:0")
    assert nodes_to_come() == ((46, 4), (46, 4), (16, 0))
    assert make_plan(Resources("the cluster", nodes_to_come())).workers == 8


@pytest.mark.parametrize("told", ["2", "2*46", "2x46:4", "2*46:4;1*16:0", "-1*2:0"])
def test_growth_that_cannot_be_read_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HHMNET_NODES", told)
    with pytest.raises(InputError, match=r"HHMNET_NODES=.* cannot be read"):
        nodes_to_come()
