"""Cases in forks of this process, with limits on their time and memory.

A fork has what is imported already, and whatever a case breaks ends with it.
"""

import faulthandler
import gc
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 60.0
MEMORY = 3 << 30  # bytes of address space beyond those of this process
MAX_OUTPUT = 8000  # characters of a case's output that are kept, from its end


@dataclass(frozen=True)
class Ended:
    """The end of a case.

    Attributes:
        status: "returned", "hang", "memory", or "crash" (an exception, a signal, another exit).
        value: Value that the case returned.
        output: Its output, cut to its end; of a crash, with the traceback.
        seconds: Time that it took.
    """

    status: str
    value: Any
    output: str
    seconds: float


@dataclass
class _Child:
    name: str
    pid: int
    began: float
    folder: Path


def run_cases(
    cases: Iterable[tuple[str, Callable[[], Any]]],
    folder: Path,
    slots: int,
    seconds: float = SECONDS,
    memory: int = MEMORY,
) -> Iterator[tuple[str, Ended]]:
    """Run cases in forks, several at a time; yield the name and the end of each.

    Args:
        cases: Names and functions. What a function returns must be picklable.
        folder: Folder for the output of the running cases.
        slots: Number of cases at a time.
        seconds: Seconds that a case may take.
        memory: Bytes of address space that a case may add to those of this process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gc.collect()
    gc.freeze()  # the forks need not look at what was imported
    limit = _address_space() + memory
    waiting, running = iter(cases), dict[int, _Child]()
    number, is_left = 0, True
    try:
        while is_left or running:
            while is_left and len(running) < slots:
                case = next(waiting, None)
                if case is None:
                    is_left = False
                    break
                child = _start(*case, folder / str(number), limit)
                running[child.pid] = child
                number += 1
            for child in list(running.values()):
                ended = _poll(child, seconds)
                if ended:
                    del running[child.pid]
                    yield child.name, ended
            time.sleep(0.002)
    finally:
        for child in running.values():
            _kill(child.pid)


def run_case(function: Callable[[], Any], folder: Path, **limits: Any) -> Ended:
    """Run one case in a fork, and return its end."""
    ((_, ended),) = run_cases([("", function)], folder, 1, **limits)
    return ended


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _start(name: str, function: Callable[[], Any], folder: Path, limit: int) -> _Child:
    folder.mkdir()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _become(function, folder, limit)
    return _Child(name, pid, time.monotonic(), folder)


def _become(function: Callable[[], Any], folder: Path, limit: int) -> None:
    """Run a case in this process, which is a fork, and end it."""
    code = 1
    try:
        os.setsid()
        log = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for output in (1, 2):
            os.dup2(log, output)
        sys.stdout = open(1, "w", closefd=False)
        sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # as Python's own
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        faulthandler.disable()  # a signal is an outcome, not news
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        value = pickle.dumps(function())
        (folder / "value").write_bytes(value)
        code = 0
    except MemoryError:
        (folder / "memory").touch()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _poll(child: _Child, seconds: float) -> Ended | None:
    pid, status = os.waitpid(child.pid, os.WNOHANG)
    took = time.monotonic() - child.began
    if not pid and took < seconds:
        return None
    _kill(child.pid, reap=not pid)
    value, kind = None, "crash"
    text = (child.folder / "output").read_text(errors="replace")
    if not pid:
        kind = "hang"
    elif (child.folder / "memory").exists():
        kind = "memory"
    elif os.waitstatus_to_exitcode(status) < 0:
        text += f"\nended by signal {-os.waitstatus_to_exitcode(status)}"
    elif (child.folder / "value").exists():
        kind, value = "returned", pickle.loads((child.folder / "value").read_bytes())
    for file in child.folder.iterdir():
        file.unlink()
    child.folder.rmdir()
    return Ended(kind, value, text[-MAX_OUTPUT:], took)


def _kill(pid: int, reap: bool = True) -> None:
    """Kill a case and the processes that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    if reap:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
