import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.mesh_plan import make_plan
from hhmnet_platform.cluster.resources import Resources, nodes_to_come
from hhmnet_platform.cluster.session import cluster_address


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


def test_nodes_are_listed_equal_ones_together() -> None:
    there = Resources("the cluster", ((4, 0), (16, 4), (16, 4)), ((16, 4),) * 8)
    assert there.listed() == ("1 of 4 CPUs, 2 of 16 CPUs and 4 GPUs; up to 8 of 16 CPUs and 4 GPUs")
    assert (there.room(4, True), there.most_room(4, True)) == (8, 32)
    assert str(there) == (
        "the cluster has 36 CPUs and 8 GPUs, and grows to 8 of 16 CPUs and 4 GPUs"
    )


def test_cluster_that_grows_says_what_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert nodes_to_come() == ()
    monkeypatch.setenv("HHMNET_NODES", "2*46:4, 1*16:0")
    assert nodes_to_come() == ((46, 4), (46, 4), (16, 0))
    assert make_plan(Resources("the cluster", (), nodes_to_come())).workers == 8


@pytest.mark.parametrize("told", ["2", "2*46", "2x46:4", "2*46:4;1*16:0", "-1*2:0"])
def test_growth_that_cannot_be_read_is_refused(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HHMNET_NODES", told)
    with pytest.raises(InputError, match=r"HHMNET_NODES=.* cannot be read"):
        nodes_to_come()
