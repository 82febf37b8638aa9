"""Real processes for the integration tests: scripts, Ray clusters, MLflow servers.

Everything listens on free ports of the loopback and ends with its test or with the session. Only
processes started here are ever signalled.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hhmnet_platform.datasets.builders import prepare_synthetic

REPOSITORY = Path(__file__).parents[2]
PHASE1 = REPOSITORY / "experiments" / "phase1.py"
BIN = Path(sys.executable).parent
# Small enough for two cores; an epoch takes a second or two, time enough to be killed in.
TINY = (
    "--data.frames=16",
    "--model.widths=[16,16]",
    "--model.heads=2",
    "--model.embedding=16",
    "--optim.epochs=3",
    "--optim.batch=8",
    "--workers=2",
)


class Process:
    """A process whose output goes to a file that can be waited on."""

    def __init__(self, arguments: Sequence[str], log: Path, env: dict[str, str], cwd: Path) -> None:
        self.log = log
        with log.open("wb") as file:
            self.popen = subprocess.Popen(
                list(arguments),
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **env},
                cwd=cwd,
                # What a shell runs in the background is deaf to Ctrl-C, and that is inherited.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float = 300) -> re.Match[str]:
        """Waits until the output matches."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if match := re.search(pattern, self.output, re.MULTILINE):
                return match
            if self.popen.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"no {pattern!r} in the output:\n{self.output}")

    def finish(self, seconds: float = 400) -> int:
        """Waits for the end; the exit code."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not at its end after {seconds} s:\n{self.output}") from None

    def stop(self) -> None:
        """Ends the process if it still runs."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(30)


Start = Callable[..., Process]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts processes: `start("prog", "arg", env={...})`."""
    folder = tmp_path_factory.mktemp("logs")
    started: list[Process] = []

    def run(*arguments: object, env: dict[str, str] | None = None, cwd: Path = folder) -> Process:
        log = folder / f"{len(started)}.log"
        process = Process([str(argument) for argument in arguments], log, env or {}, cwd)
        started.append(process)
        return process

    yield run
    for process in reversed(started):
        process.stop()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic store."""
    store = tmp_path_factory.mktemp("data") / "synthetic"
    prepare_synthetic(str(store), clips_per_class=10, stream="none")
    return store


@pytest.fixture(scope="session")
def phase1(start: Start, data: Path) -> Start:
    """Starts `experiments/phase1.py` on the small store: `phase1(workspace, "--seed=2")`."""

    def run(workspace: object, *arguments: str, env: dict[str, str] | None = None) -> Process:
        given = (*TINY, f"--data.store={data}", f"--workspace={workspace}", *arguments)
        return start(sys.executable, PHASE1, *given, env=env)

    return run


@pytest.fixture(scope="session")
def finished(phase1: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of an uninterrupted run; its terminal output is in output.txt."""
    workspace = tmp_path_factory.mktemp("finished")
    process = phase1(workspace)
    assert process.finish() == 0, process.output
    (workspace / "output.txt").write_text(process.output)
    return workspace


def port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number: int = listener.getsockname()[1]
        return number


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def wait_until(true: Callable[[], bool], what: str, seconds: float = 90) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"waited {seconds} s for {what}"
        time.sleep(0.2)


Serve = Callable[..., "contextmanager[str]"]


@pytest.fixture(scope="session")
def mlflow_server(start: Start) -> Serve:
    """`with mlflow_server(database, port) as url`: a real `mlflow server`."""

    @contextmanager
    def serve(database: Path, number: int | None = None) -> Iterator[str]:
        number = number or port()
        url = f"http://127.0.0.1:{number}"
        server = start(
            BIN / "mlflow",
            "server",
            f"--backend-store-uri=sqlite:///{database}",
            f"--artifacts-destination={database.parent / 'served'}",
            "--host=127.0.0.1",
            f"--port={number}",
            "--workers=1",
            # Its job runner is eight more processes, of no use to runs and charts.
            env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
        try:
            wait_until(lambda: answers(f"{url}/health"), f"MLflow: {server.output}")
            yield url
        finally:
            server.stop()

    return serve


@pytest.fixture
def wait() -> Callable[..., None]:
    """`wait(condition, what, seconds)`."""
    return wait_until


@pytest.fixture(scope="session")
def free() -> Callable[[], int]:
    """Gives a free port at each call."""
    return port


@pytest.fixture(scope="session")
def executable() -> Callable[[str], str]:
    """The path of a program of this environment: `executable("ray")`."""
    return lambda name: str(BIN / name)


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Arguments that make phase 1 small."""
    return TINY
