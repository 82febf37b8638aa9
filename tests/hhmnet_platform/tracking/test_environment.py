import getpass
import platform
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from hhmnet_platform.tracking.environment import environment_tags


def test_versions_host_and_user_are_recorded() -> None:
    found = environment_tags()
    assert found["hhmnet.python"] == platform.python_version()
    assert found["hhmnet.torch"] == version("torch")
    assert {"hhmnet.ray", "hhmnet.mlflow"} <= found.keys()
    assert found["hhmnet.host"] == socket.gethostname()
    assert found["mlflow.user"] == getpass.getuser()


def test_source_is_the_command_as_it_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["/usr/bin/python", "experiments/phase1.py", "--name", "my run", "--tracking_uri"]
    monkeypatch.setattr(sys, "orig_argv", [*typed, "http://me:secret@mlflow:5000"])
    found = environment_tags()
    assert found["mlflow.source.name"] == (
        "python experiments/phase1.py --name 'my run' --tracking_uri http://mlflow:5000"
    )
    assert found["mlflow.source.type"] == "JOB"


def test_worker_of_ray_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import workers

    script = f"{workers.__path__[0]}/default_worker.py"
    assert Path(script).exists()
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python", "-u", script, "--node-ip=1"])
    assert not {"mlflow.source.name", "mlflow.source.type"} & environment_tags().keys()


def test_user_without_a_name_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", no_name)
    assert "mlflow.user" not in environment_tags()


@pytest.mark.parametrize(("changes", "is_dirty"), [("", "false"), (" M file.py\n", "true")])
def test_commit_is_that_of_the_checkout(
    monkeypatch: pytest.MonkeyPatch, changes: str, is_dirty: str
) -> None:
    def git(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        outputs = {"rev-parse": "abc123\n", "status": changes}
        return subprocess.CompletedProcess(command, 0, outputs[command[1]])

    monkeypatch.delenv("HHMNET_GIT_COMMIT", raising=False)
    monkeypatch.setattr(subprocess, "run", git)
    found = environment_tags()
    assert found["hhmnet.git_commit"] == found["mlflow.source.git.commit"] == "abc123"
    assert found["hhmnet.git_dirty"] == is_dirty


def test_commit_of_an_image_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HHMNET_GIT_COMMIT", "f00")
    found = environment_tags()
    assert found["hhmnet.git_commit"] == found["mlflow.source.git.commit"] == "f00"
    assert "hhmnet.git_dirty" not in found


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.delenv("HHMNET_GIT_COMMIT", raising=False)
    monkeypatch.setattr(subprocess, "run", no_git)
    found = environment_tags()
    assert not {"hhmnet.git_commit", "hhmnet.git_dirty", "mlflow.source.git.commit"} & found.keys()
