"""Processes that tests start: programs, and scripts of this repository."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

SERVER = Path(__file__).with_name("script_server.py")


class Handle(Protocol):
    """The part of `subprocess.Popen` that the tests use."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


class Process:
    """A process whose output goes to a file that can be waited on."""

    def __init__(self, popen: Handle, log: Path) -> None:
        self.popen, self.log = popen, log

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def returncode(self) -> int | None:
        return self.popen.poll()

    def wait_for(self, pattern: str, seconds: float = 300) -> re.Match[str]:
        """Wait until the output matches."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            has_ended = self.popen.poll() is not None
            if match := re.search(pattern, self.output, re.MULTILINE):
                return match
            if has_ended:
                break
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} in the output:\n{self.output}")

    def finish(self, seconds: float = 400) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.output}") from None

    def stop(self) -> None:
        """End the process if it still runs."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(30)


class Starter:
    """Starts processes, and stops those that still run at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._server: ScriptServer | None = None
        self._started: list[Process] = []

    def program(
        self, *arguments: object, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> Process:
        """Start a program."""
        log = self._log()
        with log.open("wb") as file:
            popen = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(env or {})},
                cwd=cwd or self.folder,
                # A shell's background job ignores Ctrl-C, and its children inherit that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        return self._add(Process(popen, log))

    def script(self, path: Path, *arguments: object, env: dict[str, str] | None = None) -> Process:
        """Start a script with its imports done: in a fork of the script server."""
        if self._server is None:
            self._server = ScriptServer(self.folder)
        log = self._log()
        given = [str(argument) for argument in (path, *arguments)]
        fork = self._server.start(given, log, {**os.environ, **(env or {})}, self.folder)
        return self._add(Process(fork, log))

    def stop(self) -> None:
        for process in reversed(self._started):
            process.stop()
        if self._server is not None:
            self._server.stop()

    def _log(self) -> Path:
        log = self.folder / f"{len(self._started)}.log"
        log.touch()
        return log

    def _add(self, process: Process) -> Process:
        self._started.append(process)
        return process


class ScriptServer:
    """The process that scripts are forked from; see `script_server.py`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "script-server.log"
        with self._log.open("wb") as file:
            self._popen = subprocess.Popen(
                [sys.executable, SERVER, folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    def start(
        self, arguments: Sequence[str], log: Path, env: dict[str, str], cwd: Path
    ) -> "ForkedScript":
        """Start a script; `arguments` are its path and what follows it on the command line."""
        request = {"arguments": arguments, "log": str(log), "env": env, "cwd": str(cwd)}
        assert self._popen.stdin and self._popen.stdout
        self._popen.stdin.write(f"{json.dumps(request)}\n")
        self._popen.stdin.flush()
        pid = self._popen.stdout.readline()
        assert pid, f"the script server has ended: {self._log.read_text()}"
        return ForkedScript(int(pid), self._folder / f"{int(pid)}.exit")

    def stop(self) -> None:
        self._popen.communicate(timeout=60)  # it ends with its input


class ForkedScript:
    """A script in a fork of the script server."""

    def __init__(self, pid: int, exit_file: Path) -> None:
        self.pid, self._exit_file = pid, exit_file

    def poll(self) -> int | None:
        """Return the exit code, None while the script runs."""
        try:
            return int(self._exit_file.read_text())
        except FileNotFoundError:
            return None

    def wait(self, timeout: float) -> int:
        """Wait for the end and return the exit code; subprocess.TimeoutExpired after `timeout`."""
        ends = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > ends:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return code

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def each_once(*options: str) -> tuple[str, ...]:
    """Return options `--name=value`, of which a later one replaces an earlier one of its name."""
    return tuple({each.partition("=")[0]: each for each in options}.values())


def kill_family(pid: int) -> None:
    """Kill a process that a test started, and all its descendants."""
    for each in [*family(pid)]:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def family(pid: int) -> Iterator[int]:
    """A process and all its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = children.read_text().split()
        except OSError:  # it has ended
            continue
        for child in started:
            yield from family(int(child))


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], object], what: str, seconds: float = 90) -> None:
    """Wait until a condition holds; AssertionError after `seconds`."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
