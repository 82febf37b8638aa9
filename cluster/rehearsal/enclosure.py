"""Namespaces around the whole rehearsal: whatever is made inside them goes with them.

The rehearsal starts itself again under `unshare`, as the first process of a PID namespace. When
that process ends, in whatever way, the kernel ends every other one in there, and with the last
one go networks and mounts. What lies on disk lies in memory file systems of that mount
namespace, over a root that is mounted read-only. So there is nothing to clean up, not even after
a kill -9.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from hhmnet_core.errors import InputError

REPOSITORY = Path(__file__).parents[2]
BASE = Path("/run/rehearsal")
HOME = BASE / "home"  # of root, on every host another folder
SHARED = BASE / "shared"
HOSTS = BASE / "hosts"  # what belongs to one host alone
KEPT = BASE / "kept"  # what a new /tmp would hide

_INSIDE = "HHMNET_REHEARSAL_INSIDE"
_PROGRAMS = {
    "ip": "iproute2",
    "make": "make",
    "mount": "mount",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "unshare": "util-linux",
}
_KINDS = ("--mount", "--net", "--pid", "--ipc", "--uts")


def is_inside() -> bool:
    """Whether this process is the rehearsal in its namespaces."""
    return _INSIDE in os.environ


def check_machine() -> None:
    """Raises InputError where a rehearsal cannot be held."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise InputError("The rehearsal makes hosts of Linux namespaces: run it as root on Linux.")
    if missing := sorted(package for name, package in _PROGRAMS.items() if not _which(name)):
        raise InputError(
            f"The rehearsal needs {', '.join(missing)}: on Debian and Ubuntu, "
            f"`apt-get install {' '.join(missing)}`."
        )
    tried = subprocess.run(["unshare", *_KINDS, "--fork", "true"], capture_output=True, text=True)
    if tried.returncode:
        raise InputError(
            f"This machine allows no namespaces ({tried.stderr.strip()}): a container needs to be "
            "privileged."
        )


def enclosed(arguments: Sequence[str]) -> int:
    """Runs this very script in namespaces of its own; its exit code.

    Ctrl-C and SIGTERM end it at once, with everything in it.
    """
    _prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: a process whose parent is killed becomes our child
    options = ["--propagation=private", "--mount-proc", "--fork", "--kill-child"]
    process = subprocess.Popen(
        ["unshare", *_KINDS, *options, sys.executable, *arguments],
        env=os.environ | {_INSIDE: "1"},
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # out of reach of the terminal's Ctrl-C, which is ours
        preexec_fn=lambda: _prctl(1, signal.SIGKILL),  # PR_SET_PDEATHSIG
    )
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        process.kill()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    code = process.wait()
    # The first process of a PID namespace is gone only when all the others are.
    with suppress(ChildProcessError):
        while True:
            os.wait()
    return 128 + stopped[0] if stopped else code


def furnish(out: Path | None) -> None:
    """Makes the namespaces liveable: file systems of their own, a home, a loopback.

    Args:
        out: A folder of the machine that can still be written; None for none.
    """
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in (HOME, SHARED, HOSTS, KEPT):
        folder.mkdir(parents=True)
    kept = [REPOSITORY, Path(sys.base_prefix), *([out] if out else [])]
    for number, path in enumerate(kept):
        (KEPT / str(number)).mkdir()
        mount("--bind", str(path), str(KEPT / str(number)))
    for own in ("/tmp", "/dev/shm"):
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", own)
    for number, path in enumerate(kept):
        if path.is_relative_to("/tmp") or path == out:
            path.mkdir(parents=True, exist_ok=True)
            mount("--bind", str(KEPT / str(number)), str(path))
    mount("-o", "remount,bind,ro", "/")
    _replace("/etc/passwd", _with_home(Path("/etc/passwd").read_text()))
    _replace("/etc/shadow", "root:*:::::::\nsshd:*:::::::\n")  # no password, and not locked
    _replace("/etc/resolv.conf", "")
    (HOME / ".bashrc").touch()
    Path("/run/sshd").mkdir()
    os.environ |= {"HOME": str(HOME), "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def folders_in_tmp() -> list[tuple[Path, Path]]:
    """What a host has to bind again into a /tmp of its own: where it lies, where it belongs."""
    wanted = [REPOSITORY, Path(sys.base_prefix)]
    return [(KEPT / str(n), path) for n, path in enumerate(wanted) if path.is_relative_to("/tmp")]


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def sshd() -> str:
    return str(_which("sshd"))


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _with_home(passwd: str) -> str:
    lines = [line for line in passwd.splitlines() if not line.startswith("root:")]
    return "\n".join([f"root:x:0:0:root:{HOME}:/bin/bash", *lines, ""])


def _replace(path: str, content: str) -> None:
    """Lays a file of our own over one of the machine's."""
    target = Path(path).resolve()
    if target.exists():
        ours = BASE / target.name
        ours.write_text(content)
        mount("--bind", str(ours), str(target))


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
