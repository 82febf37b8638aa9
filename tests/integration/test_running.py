"""A training while it runs: who can reach it, and how Ctrl-C ends it. Reads /proc."""

import os
import re
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from processes import family, free_port, wait_until

from hhmnet_platform.cluster.private_session import PREFIX

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
LISTENING = "0A"
# As /proc writes 127.0.0.1, ::1 and ::ffff:127.0.0.1.
LOOPBACK = r"0100007F|0{24}01000000|0{16}FFFF00000100007F"


def listening(pid: int) -> list[tuple[str, str]]:
    """(Program, address as /proc writes it) of each TCP socket that a process family listens on."""
    where: dict[str, str] = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                where[f"socket:[{fields[9]}]"] = fields[1].partition(":")[0]
    heard = []
    for one in family(pid):
        try:
            links = [os.readlink(link) for link in Path(f"/proc/{one}/fd").iterdir()]
            program = Path(f"/proc/{one}/comm").read_text().strip()
        except OSError:
            continue
        heard += [(program, where[link]) for link in links if link in where]
    return heard


def beyond_loopback(heard: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(program, at) for program, at in heard if not re.fullmatch(LOOPBACK, at)]


@pytest.fixture(scope="module")
def training(
    phase1: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    """A phase 1 after its first epoch, far from its last one, and its workspace."""
    workspace = tmp_path_factory.mktemp("running")
    (workspace / "home").mkdir()
    process = phase1(workspace, "--optim.epochs=9000", env={"HOME": str(workspace / "home")})
    process.wait_for(r"^ *1/9000 ")
    return workspace, process


def test_socket_that_is_open_to_all_is_found(start: Callable[..., Any]) -> None:
    server = start(sys.executable, "-m", "http.server", "--bind", "0.0.0.0", "0")
    wait_until(lambda: listening(server.popen.pid), "a server to listen")
    assert beyond_loopback(listening(server.popen.pid))
    server.stop()


def test_training_listens_on_loopback_alone(training: tuple[Path, Any]) -> None:
    _, process = training
    found = listening(process.popen.pid)
    # Ray's own, the workers' store, and gloo between the workers.
    assert {"gcs_server", "raylet"} <= {program for program, _ in found}
    assert sum(program.startswith("ray::RayTrain") for program, _ in found) >= 4, found
    assert beyond_loopback(found) == []


def test_training_is_closed_to_other_users(training: tuple[Path, Any]) -> None:
    workspace, process = training
    assert not (workspace / "home" / ".ray").exists()  # the token is in no file
    commands = [Path(f"/proc/{each}/cmdline").read_text() for each in family(process.popen.pid)]
    (folder,) = {
        found for each in commands for found in re.findall(rf"(/[^\0=]*?/{PREFIX}\w+)/", each)
    }
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700


def test_interrupt_ends_the_training_and_marks_its_runs(training: tuple[Path, Any]) -> None:
    workspace, process = training
    process.popen.send_signal(signal.SIGINT)
    assert process.finish(120) == 130, process.output
    assert "interrupted." in process.output and "Traceback" not in process.output
    assert re.search(r"^The same command continues films-phase1-\w+\.$", process.output, re.M)
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("films/cross-view")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 5
    assert {run.info.status for run in runs} == {"KILLED"}


def test_make_ui_listens_on_loopback_alone(start: Callable[..., Any], finished: Path) -> None:
    repository = Path(__file__).parents[2]
    ui = start("make", "ui", f"WORKSPACE={finished}", f"UI_PORT={free_port()}", cwd=repository)
    wait_until(lambda: listening(ui.popen.pid), "MLflow to listen", 200)
    assert beyond_loopback(listening(ui.popen.pid)) == []
    ui.stop()
