"""The checks before a run, on two nodes of a real Ray that differ."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.cluster.preflight import check_nodes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
REPOSITORY = Path(__file__).parents[2]
Second = Callable[..., Any]
SMALL = {"num_cpus": 1, "object_store_memory": 100 << 20}


@pytest.fixture
def second() -> Iterator[Second]:
    """Starts a Ray of two nodes, and the second with an environment of its own."""
    cluster = Cluster(initialize_head=True, head_node_args=SMALL)

    def start(**environment: str) -> None:
        cluster.add_node(**SMALL, env_vars=environment)
        ray.init(address=cluster.address, log_to_driver=False)

    yield start
    ray.shutdown()
    cluster.shutdown()


def test_equal_nodes_pass_and_leave_no_trace(second: Second, data: Path, tmp_path: Path) -> None:
    second()
    check_nodes(str(tmp_path), str(data), load_clips(data))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"this path is not shared: node .* cannot see what node"):
        check_nodes("memory://workspace", str(data), load_clips(data))  # of each process its own
    with pytest.raises(InputError, match=r"Node .*: the store cannot be read there"):
        check_nodes(str(tmp_path), str(tmp_path / "nowhere"), load_clips(data))


def test_node_with_another_torch_is_refused(second: Second, data: Path, tmp_path: Path) -> None:
    about = tmp_path / "torch-2.12.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.12.9\n")
    second(PYTHONPATH=str(tmp_path))
    with pytest.raises(InputError, match=r"^Node .* has torch 2.12.9, but node .* has 2\.13"):
        check_nodes(str(tmp_path), str(data), load_clips(data))


def test_node_without_the_package_is_refused(second: Second, data: Path, tmp_path: Path) -> None:
    # Takes away what the editable installation has added.
    places = [str(REPOSITORY), str(REPOSITORY / "platform")]
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path = [place for place in sys.path if place not in {places}]\n"
    )
    second(PYTHONPATH=str(tmp_path))
    with pytest.raises(InputError, match=r"^Node .* cannot import .*hhmnet_platform"):
        check_nodes(str(tmp_path), str(data), load_clips(data))


def test_node_without_room_is_refused(second: Second, data: Path, tmp_path: Path) -> None:
    second(HHMNET_CACHE="/dev/null/cache")
    with pytest.raises(InputError, match=r"^Node .*: The cache folder /dev/null/cache cannot be"):
        check_nodes(str(tmp_path), str(data), load_clips(data))
