"""Shared by the benchmarks: description of the machine, tables, medians, stores, errors."""

import argparse
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import torch

from hhmnet_core.errors import InputError
from hhmnet_core.training.mesh import check_modality_parallel

PACKAGES = ("torch", "ray", "mlflow", "numpy")


def machine() -> list[str]:
    """Return lines with the processor, the GPUs, and the versions of the main packages."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lines = [f"{processor()}, {cores} cores, {platform.system()} {platform.machine()}"]
    lines += [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    packages = [f"{name} {version(name)}" for name in PACKAGES if find_spec(name)]
    return [*lines, ", ".join([f"Python {platform.python_version()}", *packages])]


def processor() -> str:
    """Return the name of the processor, as exactly as the system knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def peak_resident_mib() -> float:
    """Return the peak resident memory of this process, in MiB.

    The value that getrusage returns may be the parent's.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a markdown table: first column aligned left, all others right."""
    cells = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        for row in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median and the range of values as text."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def mesh_shape(text: str) -> tuple[int, int]:
    """Parse the mesh shape "DxP" into D and P, for argparse."""
    data, _, modality = text.partition("x")
    try:
        shape = int(data), int(modality)
        check_modality_parallel(shape[0] * shape[1], shape[1])
    except (ValueError, InputError) as error:
        raise argparse.ArgumentTypeError(f"expected D x P such as 1x2, not {text!r}") from error
    return shape


def at_least_one(text: str) -> int:
    """Parse a number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, not {text!r}")
    return int(text)


@contextmanager
def store_or_synthetic(store: str, clips_per_class: int) -> Iterator[str]:
    """Yield the given store or, if it is "", a synthetic one that is deleted afterwards."""
    if store:
        yield store
        return
    from hhmnet_platform.datasets.builders import prepare_synthetic

    with tempfile.TemporaryDirectory() as folder:
        prepare_synthetic(folder, clips_per_class=clips_per_class, stream="none")
        yield folder


def run(main: Callable[[], None]) -> NoReturn:
    """Run `main` and exit the process: an InputError is printed as one line, with exit code 2."""
    try:
        main()
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
