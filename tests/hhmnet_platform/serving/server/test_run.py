"""What is checked before anything is started."""

import importlib.util
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray import serve

from hhmnet_core.deploy.folders import read_description
from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.resources import Resources
from hhmnet_platform.serving.server.job import ServeJob
from hhmnet_platform.serving.server.run import deploy, listen, run_serve


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(InputError, match=rf"--port {port} \(.*in use.*\): .* --port 0"):
            with listen("127.0.0.1", port):
                pass
    with listen("127.0.0.1", port) as again:  # at once, whatever connections are left
        assert again.getsockname()[1] == port


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a..b", "ü" * 99])
def test_hosts_that_are_none_of_this_machine(host: str) -> None:
    with pytest.raises(InputError, match="Cannot listen on --host"):
        with listen(host, 0):
            pass


def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    try:
        with listen("::1", 0) as listener:
            assert listener.family == socket.AF_INET6
    except InputError:
        pytest.skip("no IPv6 loopback on this machine")


def test_more_replicas_than_cpus(model: str) -> None:
    job = ServeJob(model=model, replicas=3)
    with pytest.raises(InputError, match="--replicas 3 need a CPU each, but this machine has 2"):
        deploy(job, model, read_description(model), Resources("this machine", ((2, 0),)))


def test_replicas_that_do_not_start_are_one_line(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(targets: object) -> None:
        raise RuntimeError("Deploying application failed.")

    text = f"The deployment failed to start.\n{'traceback ' * 99}\nOSError: the disk is away"
    deployment = SimpleNamespace(message=text)
    application = SimpleNamespace(deployments={"Networks": deployment})
    monkeypatch.setattr(serve, "start", lambda **options: None)
    monkeypatch.setattr(serve, "run_many", fail)
    monkeypatch.setattr(
        serve, "status", lambda: SimpleNamespace(applications={"networks": application})
    )
    resources = Resources("this machine", ((2, 0),))
    with pytest.raises(
        InputError, match=r"cannot be served: .*OSError: the disk is away"
    ) as caught:
        deploy(ServeJob(model=model), model, read_description(model), resources)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


def test_a_cluster_is_not_joined(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(InputError, match="unset RAY_ADDRESS"):
        run_serve(ServeJob(model=model))


def test_without_its_packages_the_extra_is_named(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="the extra `serve`"):
        run_serve(ServeJob(model=model))


def test_a_damaged_model_is_named_before_ray_starts(model: str, tmp_path: Path) -> None:
    for file in Path(model).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = next(tmp_path.glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match="does not match its checksum"):
        run_serve(ServeJob(model=str(tmp_path), workspace=str(tmp_path), port=0))
