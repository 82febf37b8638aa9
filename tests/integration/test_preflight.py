"""The checks before a run, on two nodes of a real Ray that differ."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Starter
from ray_nodes import RayNodes

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
REPOSITORY = Path(__file__).parents[2]
CHECKS = REPOSITORY / "tests" / "preflight_checks.py"
OPEN = {"RAY_AUTH_MODE": "disabled"}
AddNode = Callable[..., None]
Check = Callable[..., list[str]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """A Ray of one node."""
    log = tmp_path_factory.mktemp("cluster") / "nodes.log"
    nodes = RayNodes(log, OPEN, num_cpus=1, include_dashboard=False)
    yield nodes
    nodes.stop()


@pytest.fixture
def add_node(cluster: RayNodes) -> Iterator[AddNode]:
    """`add_node(NAME="value")`: a second node, until the end of the test, with this environment."""
    nodes = []

    def add(**environment: str) -> None:
        nodes.append(cluster.add(num_cpus=1, env_vars=environment))

    yield add
    for node in nodes:
        cluster.remove(node)


@pytest.fixture
def check(cluster: RayNodes, starter: Starter, data: Path) -> Check:
    """`check((workspace, store), ...)`: what is wrong with each pair, from a driver on the head."""

    def run(*pairs: tuple[object, object]) -> list[str]:
        env = OPEN | {"RAY_ADDRESS": cluster.address}
        process = starter.script(CHECKS, data, *(each for pair in pairs for each in pair), env=env)
        assert process.finish() == 0, process.output
        answers = re.findall("^answer: (.*)$", process.output, re.MULTILINE)
        assert len(answers) == len(pairs), process.output
        return answers

    return run


def test_equal_nodes_pass_and_leave_no_trace(
    add_node: AddNode, check: Check, data: Path, tmp_path: Path
) -> None:
    add_node()
    workspace, nowhere = tmp_path / "workspace", tmp_path / "nowhere"
    workspace.mkdir()
    # In memory, each process has a workspace of its own.
    equal, own, absent = check(
        (workspace, data), ("memory://workspace", data), (workspace, nowhere)
    )
    assert equal == "passed"
    assert list(workspace.iterdir()) == []
    assert re.search(r"this path is not shared: node .* cannot see what node", own)
    assert re.search(r"Node .*: the store cannot be read there", absent)


def test_node_with_another_torch_is_refused(
    add_node: AddNode, check: Check, data: Path, tmp_path: Path
) -> None:
    metadata = tmp_path / "torch-2.12.9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.12.9\n")
    add_node(PYTHONPATH=str(tmp_path))
    (answer,) = check((tmp_path, data))
    assert re.match(r"Node .* has torch 2.12.9, but node .* has 2\.13", answer)


def test_node_without_the_package_is_refused(
    add_node: AddNode, check: Check, data: Path, tmp_path: Path
) -> None:
    # Undoes the editable installation.
    paths = [str(REPOSITORY), str(REPOSITORY / "platform")]
    (tmp_path / "sitecustomize.py").write_text(
        f"import sys\nsys.path = [path for path in sys.path if path not in {paths}]\n"
    )
    add_node(PYTHONPATH=str(tmp_path))
    (answer,) = check((tmp_path, data))
    assert re.match(r"Node .* cannot import .*hhmnet_platform", answer)


def test_node_without_room_is_refused(
    add_node: AddNode, check: Check, data: Path, tmp_path: Path
) -> None:
    add_node(HHMNET_CACHE="/dev/null/cache")
    (answer,) = check((tmp_path, data))
    assert re.match(r"Node .*: The cache folder /dev/null/cache cannot be", answer)
