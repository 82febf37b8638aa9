"""The house itself: the core stands alone, `platform/` hides nothing, every package is locked."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

IMPORT_THE_CORE_ALONE = """
import importlib, pkgutil, sys

REFUSED = {"ray", "mlflow", "optuna", "jsonargparse", "rich", "matplotlib"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ImportError(f"the core may not import {name}")

sys.meta_path.insert(0, Refuse())
import hhmnet_core

def fail(name):
    raise

for module in pkgutil.walk_packages(hhmnet_core.__path__, "hhmnet_core.", onerror=fail):
    importlib.import_module(module.name)
    print(module.name)
"""


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_core_imports_without_cluster_tracking_or_terminal() -> None:
    imported = run_python(IMPORT_THE_CORE_ALONE).split()
    files = {path.relative_to(ROOT).with_suffix("") for path in ROOT.glob("hhmnet_core/**/*.py")}
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files}
    assert set(imported) == modules - {"hhmnet_core"}


def test_platform_folder_does_not_hide_the_standard_library() -> None:
    assert run_python("import platform; print(platform.python_version())").strip()
    assert not (ROOT / "platform" / "__init__.py").exists()


def locked() -> dict[str, str]:
    """Package -> version, of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def pulled(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> None:
    """Adds to `seen` the package and all that it requires here, with the extras asked for."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            continue
        child = canonicalize_name(requirement.name)
        # torch locks its CUDA packages itself, and a CPU build has none.
        if not re.match("nvidia-(?!ml-py)|cuda-|triton$", child):
            pulled(child, frozenset(requirement.extras), seen)


@pytest.fixture(scope="module")
def requirements() -> set[str]:
    seen: set[tuple[str, frozenset[str]]] = set()
    pulled("hhmnet-ray", frozenset({"s3", "dev"}), seen)
    return {name for name, _ in seen} - {"hhmnet-ray"}


@pytest.mark.locked
def test_constraints_lock_what_is_pulled_and_nothing_else(requirements: set[str]) -> None:
    assert requirements == set(locked())


@pytest.mark.locked
def test_installed_versions_are_the_locked_ones(requirements: set[str]) -> None:
    installed = {name: metadata.version(name).partition("+")[0] for name in requirements}
    assert installed == {name: locked().get(name) for name in requirements}


def test_every_terminal_prints_texts_literally() -> None:
    """Square brackets and colons in names of users are no markup."""
    calls = [
        (path, call)
        for top in ("platform", "experiments")
        for path in ROOT.glob(f"{top}/**/*.py")
        for call in re.findall(r"\bConsole\((?!self)[^)]*\)", path.read_text())
    ]
    assert len(calls) > 5
    assert not [each for each in calls if "markup=False, emoji=False" not in each[1]]
