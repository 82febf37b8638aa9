"""What a node has installed, asked before anything of ours can be taken for granted there.

It goes to the nodes by value, so it imports the standard library alone and works where the package
is not installed.
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
class Installed:
    """What Python finds on a node.

    Attributes:
        python: Its executable.
        missing: Of PACKAGES, those that cannot be imported.
        versions: Of Python, without the third number, and of DISTRIBUTIONS, without what torch
            adds for a processor (2.13.0+cpu): a head has none of the workers' GPUs. "" for one that
            is not there.
        sources: A hash of the modules of PACKAGES: what is installed from a folder changes without
            its version.
    """

    python: str
    missing: tuple[str, ...]
    versions: dict[str, str]
    sources: str


def look() -> Installed:
    """What is installed in this process's Python."""
    missing: list[str] = []
    digest = hashlib.sha256()
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:  # none: an empty folder of that name is there
            missing.append(name)
            continue
        root = Path(spec.origin).parent
        for module in sorted(root.rglob("*.py")):
            digest.update(f"{name}/{module.relative_to(root)}\0".encode())
            digest.update(module.read_bytes())
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    return Installed(sys.executable, tuple(missing), versions, digest.hexdigest()[:12])
