"""Private names of Ray: they exist, they are listed, and nothing outside of the room uses any."""

import ast
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from ray.tune.search.optuna import OptunaSearch

from hhmnet_platform.cluster.ray_private import HEAD, REASONS, VERSION

PLATFORM = Path(__file__).parents[3] / "platform" / "hhmnet_platform"
ROOM = PLATFORM / "cluster" / "ray_private"
# Set in the constructor, so that classes do not have them.
OF_INSTANCES = ("_requester_id", "_ot_trials")


def test_ray_is_the_version_whose_private_names_were_read() -> None:
    listed = "\n".join(f"  {name}: {reason}" for name, reason in REASONS.items())
    assert ray.__version__.startswith(f"{VERSION}."), (
        f"Ray {ray.__version__} is installed, and the platform uses names of Ray {VERSION} that "
        f"are not public. Look at each in the new source, then raise VERSION and the bound in "
        f"pyproject.toml:\n{listed}"
    )


@pytest.mark.parametrize("name", REASONS)
def test_name_exists(name: str) -> None:
    if name == "ray.init(_temp_dir)":
        assert "_temp_dir" in inspect.getsource(ray.init)
        return
    owner, _, last = name.rpartition(".")
    found = pkgutil.resolve_name(owner)
    if last in OF_INSTANCES:
        assert f"self.{last}" in "".join(inspect.getsource(base) for base in found.__mro__[:-1])
    else:
        assert hasattr(found, last)


def test_constants_are_rays() -> None:
    assert pkgutil.resolve_name("ray._common.constants.HEAD_NODE_RESOURCE_NAME") == HEAD
    assert OptunaSearch(space={})._ot_trials == {}


def private_imports(file: Path) -> list[str]:
    """Private modules and names of Ray and Optuna in a file, and attributes `ray._x`."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{each.name}" for each in node.names]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        for name in names:
            package, *rest = name.split(".")
            is_private = any(part.startswith("_") for part in rest) or ".generated." in name
            if package in ("ray", "optuna", "mlflow") and is_private:
                found.append(name)
    return found


def test_private_names_stand_in_this_room_alone() -> None:
    outside = {
        str(file.relative_to(PLATFORM)): names
        for file in PLATFORM.rglob("*.py")
        if ROOM not in file.parents and (names := private_imports(file))
    }
    assert outside == {}
    inside = {name for file in ROOM.glob("*.py") for name in private_imports(file)}
    assert inside, "the search for private names finds none"
    unlisted = {name for name in inside if not any(each.startswith(name) for each in REASONS)}
    assert unlisted == set()


def test_run_of_fixed_size_imports_the_token_alone() -> None:
    code = (
        "import sys, hhmnet_platform.runs.driver, hhmnet_platform.runs.launch\n"
        "from hhmnet_platform.cluster.private_session import private_session\n"
        "from hhmnet_platform.cluster.joining import is_open_cluster\n"
        "with private_session(): is_open_cluster()\n"
        "room = 'hhmnet_platform.cluster.ray_private.'\n"
        "print(sorted(name for name in sys.modules if name.startswith(room)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['hhmnet_platform.cluster.ray_private.tokens']"
