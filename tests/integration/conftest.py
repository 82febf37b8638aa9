"""What the integration tests share: a store, finished runs, scripts, an MLflow server.

Everything listens on free ports of the loopback and ends with its test or with the session. Only
processes started here are ever signalled.
"""

import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from filelock import FileLock
from held import Held
from processes import Process, Starter, each_once, free_port, kill_family, wait_until
from video_files import write_video_store

REPOSITORY = Path(__file__).parents[2]
EXPERIMENTS = REPOSITORY / "experiments"
BIN = Path(sys.executable).parent
# Phase 1, small enough for two cores.
TINY = (
    "--data.frames=16",
    "--model.widths=[16,16]",
    "--model.heads=2",
    "--model.embedding=16",
    "--optim.epochs=3",
    "--optim.batch=8",
    "--workers=2",
)

Start = Callable[..., Process]
# What a local run in the process of another test has switched off.
BEYOND_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1"}


@dataclass(frozen=True)
class Head:
    """A running `ray start --head`, its temporary folder, and the ports of GCS and dashboard."""

    process: Process
    folder: Path
    port: int
    dashboard_port: int

    @property
    def address(self) -> str:
        """The address that RAY_ADDRESS takes: Ray's own, which is not that of the loopback."""
        return f"{ray.util.get_node_ip_address()}:{self.port}"

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`shared_folder(name, fill)`: a folder filled once for all processes of the test run."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, marker = base / name, base / f"{name}.filled"
        with FileLock(base / f"{name}.lock"):
            if not marker.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                marker.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def data(shared_folder: Callable[..., Path]) -> Path:
    """A store of 54 clips of three classes, most of them with video."""
    return shared_folder("films", write_video_store)


@pytest.fixture(scope="session")
def start(starter: Starter) -> Start:
    """`start("program", "argument", env={...})`: a program."""
    return starter.program


@pytest.fixture(scope="module")
def start_head(start: Start, executable: Callable[[str], str]) -> Iterator[Callable[..., Head]]:
    """`start_head(env)`: a `ray start --head` in the root of the repository."""
    heads: list[Head] = []

    def run(env: dict[str, str], *options: str) -> Head:
        folder = Path(tempfile.mkdtemp(prefix="ray-"))  # Ray's sockets need a short path
        ports = {
            name: free_port()
            for name in (
                "port",
                "dashboard-port",
                "dashboard-agent-listen-port",
                "ray-client-server-port",
                "metrics-export-port",
            )
        }
        command = [executable("ray"), "start", "--head", "--block", "--num-cpus=2"]
        command += ["--disable-usage-stats", f"--temp-dir={folder}", *options]
        command += [f"--{name}={number}" for name, number in ports.items()]
        # Jobs run `python`, which is that of the environment that the cluster was started in.
        path = f"{Path(executable('ray')).parent}:{os.environ['PATH']}"
        # On a busy machine Ray may not be up within its own limit of 30 seconds.
        for _ in range(3):
            process = start(*command, env={"PATH": path} | BEYOND_LOOPBACK | env, cwd=REPOSITORY)
            head = Head(process, folder, ports["port"], ports["dashboard-port"])
            heads.append(head)
            try:
                process.wait_for("Ray runtime started", 120)
                return head
            except AssertionError:
                process.stop()
        pytest.fail(process.output)

    yield run
    for head in heads:
        kill_family(head.process.popen.pid)  # Ray takes its time over ending it
        head.process.finish()
        shutil.rmtree(head.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def run_script(starter: Starter) -> Start:
    """`run_script("phase1.py", "--seed=2")`: a script of `experiments/`, its imports done."""
    return lambda name, *arguments, **more: starter.script(EXPERIMENTS / name, *arguments, **more)


@pytest.fixture(scope="session")
def phase1_arguments(data: Path) -> Callable[..., tuple[str, ...]]:
    """`phase1_arguments(workspace, "--seed=2")`: what follows `phase1.py` on the command line."""
    return lambda workspace, *more: each_once(
        *TINY,
        f"--data.store={data}",
        f"--workspace={workspace}",
        *more,
    )


@pytest.fixture(scope="session")
def phase1(run_script: Start, phase1_arguments: Callable[..., tuple[str, ...]]) -> Start:
    """`phase1(workspace, "--seed=2")`: a small phase 1."""
    return lambda workspace, *more, **settings: run_script(
        "phase1.py", *phase1_arguments(workspace, *more), **settings
    )


@pytest.fixture
def held(starter: Starter, tmp_path: Path) -> Held:
    """Starts trainings that are held at the end of an epoch; see `held_training.py`."""
    return Held(starter, tmp_path / "held")


@pytest.fixture(scope="session")
def finished(
    start: Start,
    phase1_arguments: Callable[..., tuple[str, ...]],
    shared_folder: Callable[..., Path],
) -> Path:
    """The workspace of an uninterrupted phase-1 run; its terminal output is in output.txt."""

    def train(workspace: Path) -> None:
        script = EXPERIMENTS / "phase1.py"
        arguments = phase1_arguments(workspace, "--min_checkpoint_seconds=0")
        process = start(sys.executable, script, *arguments)
        assert process.finish() == 0, process.output
        (workspace / "output.txt").write_text(process.output)

    return shared_folder("finished", train)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


Serve = Callable[..., "contextmanager[str]"]


@pytest.fixture(scope="session")
def mlflow_server(start: Start) -> Serve:
    """`with mlflow_server(database, port) as url`: a real `mlflow server`."""

    @contextmanager
    def serve(database: Path, port: int | None = None) -> Iterator[str]:
        port = port or free_port()
        url = f"http://127.0.0.1:{port}"
        server = start(
            BIN / "mlflow",
            "server",
            f"--backend-store-uri=sqlite:///{database}",
            f"--artifacts-destination={database.parent / 'served'}",
            "--host=127.0.0.1",
            f"--port={port}",
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


@pytest.fixture(scope="session")
def executable() -> Callable[[str], str]:
    """The path of a program of this environment: `executable("ray")`."""
    return lambda name: str(BIN / name)


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Arguments that make phase 1 small."""
    return TINY
