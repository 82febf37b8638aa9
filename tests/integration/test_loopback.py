"""On the laptop default nothing of ours can be reached from another machine."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
Wait = Callable[..., None]
LISTENING = "0A"
# As /proc writes 127.0.0.1, ::1 and ::ffff:127.0.0.1.
LOOPBACK = r"0100007F|0{24}01000000|0{16}FFFF00000100007F"


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = children.read_text().split()
        except OSError:  # gone since
            continue
        for child in started:
            yield from family(int(child))


def listening(pid: int) -> list[tuple[str, str]]:
    """(Program, address as /proc writes it) of each TCP socket that a process's family hears on."""
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


def test_the_look_sees_a_socket_that_is_open_to_all(start: Callable[..., Any], wait: Wait) -> None:
    server = start(sys.executable, "-m", "http.server", "--bind", "0.0.0.0", "0")
    wait(lambda: listening(server.popen.pid), "a server to listen")
    assert beyond_loopback(listening(server.popen.pid))
    server.stop()


@pytest.mark.timeout(600)
def test_training_listens_on_loopback_alone(
    phase1: Callable[..., Any], tmp_path: Path, wait: Wait
) -> None:
    run = phase1(tmp_path, "--optim.epochs=300")
    run.wait_for(r"^ *2/300 ", 500)
    heard = listening(run.popen.pid)
    # Ray's own, the workers' store, and gloo between the workers.
    assert {"gcs_server", "raylet"} <= {program for program, _ in heard}
    assert sum(program.startswith("ray::RayTrain") for program, _ in heard) >= 4, heard
    assert beyond_loopback(heard) == []
    run.stop()


@pytest.mark.timeout(300)
def test_make_ui_listens_on_loopback_alone(
    start: Callable[..., Any], finished: Path, free: Callable[[], int], wait: Wait
) -> None:
    repository = Path(__file__).parents[2]
    ui = start("make", "ui", f"WORKSPACE={finished}", f"UI_PORT={free()}", cwd=repository)
    wait(lambda: listening(ui.popen.pid), "MLflow to listen", 200)
    assert beyond_loopback(listening(ui.popen.pid)) == []
    ui.stop()
