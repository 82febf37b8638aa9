"""Programs on a small disk of their own, which fills up."""

import shutil
import subprocess
from pathlib import Path

import pytest


def _can_mount() -> bool:
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=100k tmpfs /mnt"]
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(command, capture_output=True).returncode
    )


needs_small_disk = pytest.mark.skipif(
    not _can_mount(), reason="may not mount a file system in a namespace of its own"
)


def run_on_small_disk(
    folder: Path, size: str, script: str, seconds: float = 300
) -> "subprocess.CompletedProcess[str]":
    """Run a shell script, with a disk of a size mounted at a folder for it alone.

    In the script, `free_space` makes the disk large.
    """
    grow = f"free_space() {{ mount -o remount,size=500m '{folder}'; }}"
    mount = f"mount -t tmpfs -o size={size} tmpfs '{folder}'"
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", f"set -u; {mount} || exit 99; {grow}\n{script}"],
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
