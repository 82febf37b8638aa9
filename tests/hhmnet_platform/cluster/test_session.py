import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from hhmnet_platform.cluster import joining, session
from hhmnet_platform.cluster.resources import local_resources
from hhmnet_platform.cluster.session import ray_session

HEAD = {
    "Alive": True,
    "NodeID": "head",
    "NodeManagerAddress": "127.0.0.1",
    "Resources": {"CPU": 4.0, "node:__internal_head__": 1.0},
}
WORKER = {
    "Alive": True,
    "NodeID": "worker",
    "NodeManagerAddress": "127.0.0.2",
    "Resources": {"CPU": 16.0, "GPU": 4.0},
}
DEAD = {"Alive": False, "NodeID": "dead", "Resources": {"CPU": 64.0}}


class FakeRay:
    """Stands in for a Ray of three nodes, whose second one holds this process."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        self.environment: dict[str, str] = {}
        self.is_shut_down = False
        self.error: Exception | None = None

    def init(self, **options: Any) -> SimpleNamespace:
        self.options, self.environment = options, dict(os.environ)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Ray puts its own
        if self.error:
            raise self.error
        return SimpleNamespace(dashboard_url="127.0.0.1:8265")

    def shutdown(self) -> None:
        self.is_shut_down = True


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    fake = FakeRay()
    monkeypatch.setattr(ray, "init", fake.init)
    monkeypatch.setattr(ray, "shutdown", fake.shutdown)
    monkeypatch.setattr(ray, "nodes", lambda: [HEAD, WORKER, DEAD])
    context = SimpleNamespace(get_node_id=lambda: "worker", gcs_address="127.0.0.1:1")
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    before = signal.getsignal(signal.SIGTERM)
    yield fake
    signal.signal(signal.SIGTERM, before)


def test_dashboard_and_output_of_workers_are_there_where_asked_for(
    fake_ray: FakeRay, capsys: pytest.CaptureFixture[str]
) -> None:
    with ray_session(dashboard=True, log_workers=True):
        shown = capsys.readouterr().out
        match = re.fullmatch(
            r"dashboard   http://127.0.0.1:8265, behind the token in (.*)\n", shown
        )
        assert match
        token = Path(match[1])
        assert token.read_text() == os.environ["RAY_AUTH_TOKEN"]
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert not token.exists()
    assert fake_ray.options["log_to_driver"] is True
    with ray_session():
        assert capsys.readouterr().out == ""
    assert fake_ray.options["include_dashboard"] is fake_ray.options["log_to_driver"] is False


def test_ray_is_started_here_and_shut_down(fake_ray: FakeRay) -> None:
    before = dict(os.environ)
    with ray_session(dashboard=True) as resources:
        assert not fake_ray.is_shut_down
        assert resources.name == "this machine" and not resources.is_cluster
        assert resources.nodes == ((4, 0), (16, 4))  # without the dead one
    assert fake_ray.is_shut_down
    assert fake_ray.options["address"] == "local"
    assert fake_ray.options["include_dashboard"] is True
    assert fake_ray.options["num_cpus"] == local_resources().cpus
    # Its processes know its address; this one, which may start another later, does not.
    port = fake_ray.environment["RAY_GCS_SERVER_PORT"]
    assert fake_ray.environment["RAY_API_SERVER_ADDRESS"] == f"127.0.0.1:{port}"
    for name in ("RAY_GCS_SERVER_PORT", "RAY_API_SERVER_ADDRESS"):
        assert os.environ.get(name) == before.get(name)


def test_signal_handler_of_the_program_stays(fake_ray: FakeRay) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ray_session():
        assert signal.getsignal(signal.SIGTERM) == before


def test_ray_is_shut_down_after_an_error(fake_ray: FakeRay) -> None:
    with pytest.raises(KeyError), ray_session():
        raise KeyError("in the block")
    assert fake_ray.is_shut_down


def test_cluster_is_joined(fake_ray: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:1")
    monkeypatch.setattr(joining, "_check_reachable", lambda address: None)
    monkeypatch.setenv("HHMNET_NODES", "2*16:4")
    with ray_session() as resources:
        assert resources.name == "the cluster at ray://127.0.0.1:1" and resources.is_cluster
        assert resources.nodes_when_grown == ((16, 4), (16, 4))
        assert not resources.is_driver_on_head
    assert fake_ray.options["address"] == "ray://127.0.0.1:1"


def test_ray_that_does_not_start_is_one_line(fake_ray: FakeRay) -> None:
    fake_ray.error = Exception("The current node\n  timed out")
    with pytest.raises(SystemExit) as raised, ray_session():
        pass
    assert str(raised.value) == (
        "error: Ray could not be started on this machine: The current node timed out"
    )


def test_ray_that_is_started_here_is_closed_to_other_users(
    fake_ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    with ray_session():
        folder = Path(fake_ray.options["_temp_dir"]).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(fake_ray.environment["RAY_AUTH_TOKEN"]) == 64
    assert not folder.exists() and "RAY_AUTH_TOKEN" not in os.environ


def test_open_cluster_is_reported(
    fake_ray: FakeRay, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(session, "join_cluster", lambda *_: None)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    for is_open in (False, True):
        monkeypatch.setattr(session, "is_open_cluster", lambda is_open=is_open: is_open)
        with ray_session():
            lines = capsys.readouterr().out.splitlines()
        assert lines == [joining.OPEN_CLUSTER] * is_open


@pytest.mark.parametrize(
    ("limit", "output"),
    [(64, "may open 64 files, Ray needs 256 at least"), (1024, "1024"), (8192, "4096")],
)
def test_open_files_are_allowed_as_far_as_they_may(limit: int, output: str) -> None:
    code = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (min({limit}, 128), {limit}))\n"
        "from hhmnet_platform.cluster.session import allow_open_files\n"
        "allow_open_files()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output in done.stdout + done.stderr
