"""What a killed driver leaves is ended, and what it has ended by itself is left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
from hhmnet_platform.cluster.reaper import reaper
with reaper("secret-of-this-test", Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "100"], env={**os.environ, "T": "secret-of-this-test"})
    other = subprocess.Popen(["sleep", "100"])
    print(child.pid, other.pid, flush=True)
    if sys.argv[2] == "wait":
        time.sleep(100)
"""


def start(folder: Path, how: str) -> tuple[subprocess.Popen[str], int, int]:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, folder, how], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout
    child, other = map(int, driver.stdout.readline().split())
    return driver, child, other


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_processes_of_a_killed_driver_are_ended(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    driver, child, other = start(folder, "wait")
    driver.kill()
    driver.wait()
    ends = time.monotonic() + 30
    while (is_alive(child) or folder.exists()) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not is_alive(child) and not folder.exists()
    assert is_alive(other)
    os.kill(other, signal.SIGKILL)


def test_processes_are_ended_with_the_block_and_the_folder_is_left_to_its_owner(
    tmp_path: Path,
) -> None:
    driver, child, other = start(tmp_path, "end")
    assert not driver.wait(timeout=30)
    assert not is_alive(child) and is_alive(other) and tmp_path.exists()
    os.kill(other, signal.SIGKILL)
