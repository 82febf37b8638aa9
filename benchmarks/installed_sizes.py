"""Measure the installed size of each direct dependency, and of the packages that it alone pulls.

    python benchmarks/installed_sizes.py [--extras ntu export ...]

Sizes are of the files that this environment's package records list, in MB; compiled bytecode of
this machine is left out. "alone pulls" counts the packages that no other direct dependency needs.
"""

import argparse
from collections.abc import Iterable
from functools import cache
from importlib import metadata

from common import run, table
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hhmnet_core.errors import InputError

PROJECT = "hhmnet-ray"
Package = tuple[str, frozenset[str]]  # with the extras that are asked for


@cache
def required(package: Package) -> frozenset[Package]:
    """Return what an installed package requires here."""
    name, extras = package
    found = set()
    for line in metadata.requires(name) or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            found.add((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return frozenset(found)


def pulled(packages: Iterable[Package]) -> set[str]:
    """Return the names of packages, and of all that they pull, as far as it is installed."""
    seen: set[Package] = set()
    waiting = list(packages)
    while waiting:
        package = waiting.pop()
        if package not in seen and is_installed(package[0]):
            seen.add(package)
            waiting += required(package)
    return {name for name, _ in seen}


def is_installed(name: str) -> bool:
    """Return whether a package is installed here."""
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


@cache
def megabytes(name: str) -> float:
    """Return the size of a package's files."""
    files = metadata.files(name) or ()
    return sum(each.size or 0 for each in files if each.suffix != ".pyc") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--extras", nargs="*", default=[], help="extras to add")
    options = parser.parse_args()
    known = metadata.metadata(PROJECT).get_all("Provides-Extra") or []
    if unknown := [each for each in options.extras if each not in known]:
        raise InputError(f"There is no extra {unknown[0]}: give some of {', '.join(known)}.")
    default = required((PROJECT, frozenset()))
    direct = {each for each in required((PROJECT, frozenset(options.extras))) if each[0] != PROJECT}
    rows = []
    for name in sorted({name for name, _ in direct}):
        own = {each for each in direct if each[0] == name}
        rest = sum(map(megabytes, pulled(own) - pulled(direct - own) - {name}))
        kind = "" if own & default else "extra"
        rows.append([name, kind, f"{megabytes(name):.1f}", f"{rest:.1f}"])
    whole = pulled(default)
    print(table(["package", "", "MB", "alone pulls"], rows))
    print(f"\nThe default install: {len(whole)} packages, {sum(map(megabytes, whole)):.0f} MB.")


if __name__ == "__main__":
    run(main)
