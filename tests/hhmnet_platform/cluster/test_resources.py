import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.mesh_plan import make_plan
from hhmnet_platform.cluster.resources import Resources, local_resources, nodes_when_grown

CLUSTER = Resources("the cluster", ((4, 0), (16, 4), (16, 4)), ((16, 4),) * 8)


def test_nodes_are_listed_with_equal_ones_counted() -> None:
    assert CLUSTER.list_nodes() == (
        "1 of 4 CPUs, 2 of 16 CPUs and 4 GPUs; up to 8 of 16 CPUs and 4 GPUs"
    )
    assert Resources("the cluster", ((1, 0), (2, 0))).list_nodes() == "1 of 1 CPUs, 1 of 2 CPUs"
    assert Resources("the cluster", ()).list_nodes() == "none"


def test_resources_as_text() -> None:
    assert str(CLUSTER) == (
        "the cluster has 36 CPUs and 8 GPUs, and can grow to 8 of 16 CPUs and 4 GPUs"
    )
    assert str(Resources("this machine", ((2, 0),))) == "this machine has 2 CPUs and 0 GPUs"


def test_capacity_counts_workers_node_by_node() -> None:
    assert (CLUSTER.capacity(4, True), CLUSTER.capacity_when_grown(4, True)) == (8, 32)
    assert CLUSTER.capacity(8, True) == 4  # 16 CPUs are enough for two workers only
    assert CLUSTER.capacity(4, False) == 1 + 4 + 4
    assert Resources("the cluster", ((3, 0), (3, 0))).capacity(2, False) == 2
    assert Resources("the cluster", ((8, 0),), ((1, 0),)).capacity_when_grown(1, False) == 8


def test_gpus_count_before_their_nodes_are_there() -> None:
    assert Resources("the cluster", ((4, 0),), ((16, 4),)).has_gpus
    assert not Resources("the cluster", ((4, 0),), ((16, 0),)).has_gpus


def test_this_machine_is_one_node() -> None:
    here = local_resources()
    assert here.name == "this machine" and not here.is_cluster
    assert len(here.nodes) == 1 and here.cpus >= 1
    assert CLUSTER.is_cluster


def test_nodes_of_a_cluster_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nodes_when_grown() == ()
    monkeypatch.setenv("HHMNET_NODES", "2*46:4, 1*16:0")
    assert nodes_when_grown() == ((46, 4), (46, 4), (16, 0))
    assert make_plan(Resources("the cluster", (), nodes_when_grown())).workers == 8


@pytest.mark.parametrize("text", ["2", "2*46", "2x46:4", "2*46:4;1*16:0", "-1*2:0"])
def test_nodes_in_another_form_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HHMNET_NODES", text)
    with pytest.raises(InputError, match=r"HHMNET_NODES=.* cannot be read: expected NODES\*CPUS"):
        nodes_when_grown()
