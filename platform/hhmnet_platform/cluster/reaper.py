"""A process that ends what a driver, killed or not, leaves of the Ray that it has started.

Ray's processes end with their driver, but its agents, and workers that were just starting, may wait
for a server that is gone for up to a minute. This module is also run by itself, without the
packages: it imports the standard library alone.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree

GRACE = 3.0  # seconds for Ray's processes to end by themselves
ROUNDS, PAUSE = 3, 0.2  # seconds; processes may start others before they end
_DONE = "done"
_OF_RAY = b"ray::"  # title of its Python processes


@contextmanager
def reaper(token: str, folder: Path) -> Iterator[None]:
    """Watch over this process until the end of the block.

    At its end, or where this process is killed, the processes are ended whose environment holds the
    token, and Ray's that have a file of the folder open; the folder of a killed one is removed.
    Only Linux shows the environment of processes; elsewhere nothing is done.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    watcher = subprocess.Popen(
        [sys.executable, "-IS", __file__],
        stdin=subprocess.PIPE,  # its end is that of this process, however it comes
        stdout=subprocess.DEVNULL,  # who reads the output of this process waits for it alone
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is not for it
    )
    assert watcher.stdin
    watcher.stdin.write(f"{token}\n{folder}\n")
    watcher.stdin.flush()
    try:
        yield
    finally:
        with suppress(OSError):
            watcher.stdin.write(f"{_DONE}\n")
            watcher.stdin.close()
        watcher.wait()


def _watch() -> None:
    token, folder, last = (sys.stdin.readline().strip() for _ in range(3))
    if not token:
        return
    was_killed = last != _DONE
    if was_killed:
        time.sleep(GRACE)
    for _ in range(ROUNDS):
        left = _left(token, folder)
        if not left:
            break
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE)
    if was_killed:
        rmtree(folder, ignore_errors=True)


def _left(token: str, folder: str) -> list[int]:
    """Return the processes of a session: by its token in their environment, or by its open files.

    Ray's agents take the token out of their environment.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(path.name) in (os.getpid(), os.getppid()):
                continue
            if token.encode() in (path / "environ").read_bytes() or (
                (path / "cmdline").read_bytes().startswith(_OF_RAY) and _opens(path, folder)
            ):
                found.append(int(path.name))
    return found


def _opens(process: Path, folder: str) -> bool:
    for link in (process / "fd").iterdir():
        with suppress(OSError):
            if os.readlink(link).startswith(f"{folder}/"):
                return True
    return False


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _watch()
