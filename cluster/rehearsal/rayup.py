"""From the shipped template to a Ray cluster on the hosts: `ray up`, tunnels, jobs, `ray down`.

The laptop that does this is the rehearsal's own network namespace, on the same bridge.
"""

import base64
import configparser
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import yaml

from cluster.rehearsal.enclosure import BASE, HOME, REPOSITORY, SHARED
from cluster.rehearsal.hosts import KEY, Network, ssh_options

TEMPLATE = REPOSITORY / "cluster/onprem.yaml"
CONFIG = BASE / "onprem.yaml"
WORKSPACE = SHARED / "hhmnet"
DASHBOARD = "http://127.0.0.1:8265"
MLFLOW = "http://127.0.0.1:5000"
RAY = str(Path(sys.executable).parent / "ray")
CPUS_OF_A_WORKER = 2
# Everything on one machine: nothing here is big, and only epoch reports pass through the store.
OBJECT_STORE = f"--object-store-memory={100 << 20}"


def config_for(network: Network) -> dict[str, Any]:
    """The shipped onprem.yaml for the hosts: what it says to change, changed.

    The project lies on every host where it lies here, with a layer of the host's own over it, so
    that its environment is there already; and Ray is told that hosts are smaller than they look.
    """
    text = TEMPLATE.read_text()
    for written, wanted in (
        ("~/hhmnet/", f"{REPOSITORY}/"),
        ("~/hhmnet ", f"{REPOSITORY} "),
        ("=/shared/hhmnet", f"={WORKSPACE}"),
    ):
        if written not in text:
            raise SystemExit(f"error: {TEMPLATE.name} no longer says {written!r}.")
        text = text.replace(written, wanted)
    config: dict[str, Any] = yaml.safe_load(text)
    config["cluster_name"] = "rehearsal"
    config["provider"] |= {
        "head_ip": network.head.address,
        "worker_ips": [worker.address for worker in network.workers],
    }
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(KEY)}
    for part, options in (
        ("head_start_ray_commands", OBJECT_STORE),
        ("worker_start_ray_commands", f"--num-cpus={CPUS_OF_A_WORKER} {OBJECT_STORE}"),
    ):
        *before, start = config[part]
        config[part] = [*before, start.replace("ray start ", f"ray start {options} ")]
    return config


def ray_up(network: Network, log: IO[str]) -> None:
    """Starts the cluster as a user does: the token, then `ray up`."""
    CONFIG.write_text(yaml.safe_dump(config_for(network), sort_keys=False))
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    _ray("get-auth-token", "--generate", log=log)
    _ray("up", "--yes", "--no-config-cache", str(CONFIG), log=log)


def ray_down(log: IO[str]) -> None:
    _ray("down", "--yes", str(CONFIG), log=log)


@contextmanager
def tunnels(network: Network, log: IO[str]) -> Iterator[None]:
    """The head's dashboard and its MLflow, at the same ports of the laptop's loopback."""
    mlflow = ["-L", "5000:127.0.0.1:5000", f"root@{network.head.address}"]
    opened = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for command in ([RAY, "dashboard", str(CONFIG)], ["ssh", "-N", *ssh_options(), *mlflow])
    ]
    try:
        for port in (8265, 5000):
            wait_until(partial(_listens, port), f"the tunnel to port {port}", 60)
        yield
    finally:
        for tunnel in opened:
            tunnel.terminate()


def alive(network: Network) -> dict[str, str]:
    """Ray's id of each host that is in the cluster now, by the host's name."""
    names = {host.address: host.name for host in network.hosts}
    token = (HOME / ".ray/auth_token").read_text().strip()
    nodes = _ask(f"{DASHBOARD}/nodes?view=summary", f"Bearer {token}")["data"]["summary"]
    return {
        names[node["raylet"]["nodeManagerAddress"]]: node["raylet"]["nodeId"]
        for node in nodes
        if node["raylet"]["state"] == "ALIVE"
    }


def wait_for_hosts(network: Network, gone: str = "", seconds: float = 600) -> None:
    """Waits until every host is in the cluster.

    Args:
        network: The hosts.
        gone: Ray's id of one that has died: the cluster may not have noticed yet.
        seconds: How long at most.
    """
    wanted = {host.name for host in network.hosts}

    def joined() -> bool:
        try:
            ids = alive(network)
        except OSError:
            return False
        return ids.keys() == wanted and gone not in ids.values()

    wait_until(joined, f"{', '.join(sorted(wanted))} to join the cluster", seconds)


class Job:
    """A job, submitted as a user does, and what it has said so far."""

    def __init__(self, name: str, arguments: Sequence[str], echo: bool) -> None:
        self.log = BASE / f"job-{name}.log"
        self.began = time.monotonic()
        command = [RAY, "job", "submit", f"--address={DASHBOARD}", "--", *arguments]
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        self.echo = echo
        self.shown = 0

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float = 300) -> "re.Match[str]":
        """Waits until the output matches."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            ended = self.process.poll() is not None
            if match := re.search(pattern, self._read(), re.MULTILINE):
                return match
            if ended:
                break
            time.sleep(0.1)
        raise SystemExit(f"error: the job never said {pattern!r}:\n{self.output}")

    def finish(self, seconds: float = 540) -> int:
        """Waits for the end; the exit code of `ray job submit`."""
        ends = time.monotonic() + seconds
        while self.process.poll() is None:
            self._read()
            if time.monotonic() > ends:
                raise SystemExit(f"error: the job took over {seconds:.0f} s:\n{self.output}")
            time.sleep(0.2)
        self._read()
        return self.process.returncode

    def _read(self) -> str:
        text = self.output
        if self.echo and len(text) > self.shown:
            print(text[self.shown :], end="", flush=True)
            self.shown = len(text)
        return text


def ask_mlflow(network: Network, what: str, body: dict[str, Any] | None = None) -> Any:
    """What MLflow's REST API answers, with the password that it made for itself on the head."""
    made = configparser.RawConfigParser()
    made.read_string(network.head.run("cat ~/.mlflow/credentials").stdout)
    user, password = (
        made["mlflow"][f"mlflow_tracking_{name}"] for name in ("username", "password")
    )
    coded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return _ask(f"{MLFLOW}/api/2.0/mlflow/{what}", f"Basic {coded}", body)


def _ask(url: str, authorization: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": authorization}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
        return json.load(answer)


def wait_until(true: Callable[[], bool], what: str, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not true():
        if time.monotonic() > ends:
            raise SystemExit(f"error: waited {seconds:.0f} s for {what}.")
        time.sleep(0.3)


def _ray(*arguments: str, log: IO[str]) -> None:
    done = subprocess.run(
        [RAY, *arguments],
        cwd=REPOSITORY / "cluster",  # as the template says
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        said = Path(log.name).read_text()[-2000:]
        raise SystemExit(f"error: `ray {arguments[0]}` failed:\n{said}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
