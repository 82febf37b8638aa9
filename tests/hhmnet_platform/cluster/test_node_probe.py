import ast
import re
import sys
from pathlib import Path

import pytest

from hhmnet_platform.cluster import node_probe
from hhmnet_platform.cluster.node_probe import inspect_installation


def test_own_installation_is_complete() -> None:
    found = inspect_installation()
    assert found.python == sys.executable and found.missing == ()
    assert set(found.versions) == {"python", "hhmnet-ray", "torch", "ray"}
    # Without torch's suffix for a processor.
    assert all(re.fullmatch(r"\d+\.\d+(\.\d+)?", version) for version in found.versions.values())
    assert inspect_installation() == found


def test_missing_packages_and_changed_modules_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "apackage"
    package.mkdir()
    (package / "__init__.py").touch()
    module = package / "module.py"
    module.write_text("a = 1\n")
    (tmp_path / "afolder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(node_probe, "PACKAGES", ("apackage", "afolder", "nowhere"))
    before = inspect_installation()
    assert before.missing == ("afolder", "nowhere")
    module.write_text("a = 2\n")
    changed = inspect_installation()
    assert changed.sources != before.sources
    module.rename(package / "renamed.py")
    assert inspect_installation().sources not in (before.sources, changed.sources)


def test_missing_distribution_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_probe, "DISTRIBUTIONS", ("nowhere-to-be-found",))
    assert inspect_installation().versions["nowhere-to-be-found"] == ""


def test_probe_works_where_nothing_is_installed() -> None:
    imported = set()
    for node in ast.walk(ast.parse(Path(node_probe.__file__).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= sys.stdlib_module_names
