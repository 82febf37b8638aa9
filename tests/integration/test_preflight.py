"""The checks before a run, on two nodes of a real Ray that differ."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from processes import wait_until
from ray.cluster_utils import Cluster

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import load_clips
from hhmnet_platform.cluster.preflight import check_nodes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
REPOSITORY = Path(__file__).parents[2]
AddNode = Callable[..., None]
SMALL = {"num_cpus": 1, "object_store_memory": 100 << 20}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A Ray of one node, which this process has joined."""
    cluster = Cluster(initialize_head=True, head_node_args=SMALL | {"include_dashboard": False})
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def add_node(cluster: Cluster) -> Iterator[AddNode]:
    """`add_node(NAME="value")`: a second node, until the end of the test, with this environment."""
    nodes = []

    def add(**environment: str) -> None:
        nodes.append(cluster.add_node(**SMALL, env_vars=environment))

    yield add
    for node in nodes:
        cluster.remove_node(node)
    wait_until(lambda: sum(node["Alive"] for node in ray.nodes()) == 1, "the node to leave")


def test_equal_nodes_pass_and_leave_no_trace(add_node: AddNode, data: Path, tmp_path: Path) -> None:
    add_node()
    check_nodes(str(tmp_path), str(data), load_clips(data))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"this path is not shared: node .* cannot see what node"):
        check_nodes("memory://workspace", str(data), load_clips(data))  # each process has its own
    with pytest.raises(InputError, match=r"Node .*: the store cannot be read there"):
        check_nodes(str(tmp_path), str(tmp_path / "nowhere"), load_clips(data))


def test_node_with_another_torch_is_refused(add_node: AddNode, data: Path, tmp_path: Path) -> None:
    metadata = tmp_path / "torch-2.12.9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.12.9\n")
    add_node(PYTHONPATH=str(tmp_path))
    with pytest.raises(InputError, match=r"^Node .* has torch 2.12.9, but node .* has 2\.13"):
        check_nodes(str(tmp_path), str(data), load_clips(data))


def test_node_without_the_package_is_refused(add_node: AddNode, data: Path, tmp_path: Path) -> None:
    # Undoes the editable installation.
    paths = [str(REPOSITORY), str(REPOSITORY / "platform")]
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path = [path for path in sys.path if path not in {paths}]\n"
    )
    add_node(PYTHONPATH=str(tmp_path))
    with pytest.raises(InputError, match=r"^Node .* cannot import .*hhmnet_platform"):
        check_nodes(str(tmp_path), str(data), load_clips(data))


def test_node_without_room_is_refused(add_node: AddNode, data: Path, tmp_path: Path) -> None:
    add_node(HHMNET_CACHE="/dev/null/cache")
    with pytest.raises(InputError, match=r"^Node .*: The cache folder /dev/null/cache cannot be"):
        check_nodes(str(tmp_path), str(data), load_clips(data))
