"""Inspection of the Python packages on a node, before this package is used there.

This module is sent to the nodes by value: it imports only the standard library, so that it works
where the package is missing.
"""

import hashlib
import importlib.metadata
import importlib.util
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("hhmnet_core", "hhmnet_platform")
DISTRIBUTIONS = ("hhmnet-ray", "torch", "ray")


@dataclass(frozen=True)
class Installation:
    """The packages in a node's Python.

    Attributes:
        python: Path of the executable.
        missing: Packages of PACKAGES that cannot be imported.
        versions: Versions of Python (major.minor) and of DISTRIBUTIONS, without torch's suffix for
            a processor (2.13.0+cpu), since a head node lacks the workers' GPUs. "" if missing.
        sources: Hash of the modules of PACKAGES: an installation from a folder changes without its
            version.
    """

    python: str
    missing: tuple[str, ...]
    versions: dict[str, str]
    sources: str


def inspect_installation() -> Installation:
    """Return the packages in this process's Python."""
    roots = {name: _root_of(name) for name in PACKAGES}
    digest = hashlib.sha256()
    for name, root in roots.items():
        if root is None:
            continue
        for module in sorted(root.rglob("*.py")):
            digest.update(f"{name}/{module.relative_to(root)}\0".encode())
            digest.update(module.read_bytes())
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    versions |= {name: _version_of(name) for name in DISTRIBUTIONS}
    missing = tuple(name for name, root in roots.items() if root is None)
    return Installation(sys.executable, missing, versions, digest.hexdigest()[:12])


def _root_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:  # without an origin: an empty folder of that name
        return None
    return Path(spec.origin).parent


def _version_of(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""
