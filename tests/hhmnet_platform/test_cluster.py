from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster import Resources, _growth, cluster_address


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


def test_what_a_cluster_may_grow_to_is_read_from_its_config(tmp_path: Path) -> None:
    config = tmp_path / "ray_bootstrap_config.yaml"
    assert _growth(config) == ()
    config.write_text(
        """
        head_node_type: head
        max_workers: 4
        available_node_types:
          head: {resources: {CPU: 4}, max_workers: 0}
          spot: {resources: {CPU: 16, GPU: 1}, max_workers: 3}
          other: {resources: {CPU: 8}}
        """
    )
    assert _growth(config) == ((4, 0), *((16, 1),) * 3, *((8, 0),) * 4)
