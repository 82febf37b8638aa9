"""Hosts: each a network, mount, PID, UTS and IPC namespace with an sshd, on one bridge.

They share the machine's files, read-only, and one folder, read-write. To each belong its home,
its /tmp, its /dev/shm and a layer of its own over the project's folder.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cluster.rehearsal.enclosure import BASE, HOME, HOSTS, REPOSITORY, folders_in_tmp, sshd
from hhmnet_core.errors import InputError

SUBNET = "10.77.0"
KEY = BASE / "key"
SECONDS_TO_BOOT = 30.0


@dataclass
class Host:
    """One host.

    Attributes:
        name: Its host name.
        address: On the bridge.
        machine: Its first process, seen from outside; None where it is off.
    """

    name: str
    address: str
    machine: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def boot(self) -> None:
        """Switches it on, and waits for its sshd."""
        script = "\n".join(["set -e", *self._boot_commands()])
        log = (BASE / f"{self.name}.log").open("ab")
        network = ["ip", "netns", "exec", self.name]
        others = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--mount-proc"]
        self.machine = subprocess.Popen(
            [*network, *others, "--fork", "--kill-child", "bash", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(HOME), "LANG": "C.UTF-8"},
        )
        ends = time.monotonic() + SECONDS_TO_BOOT
        while self.run("true", check=False).returncode:
            if time.monotonic() > ends or self.machine.poll() is not None:
                said = (BASE / f"{self.name}.log").read_text()[-500:]
                raise SystemExit(f"error: {self.name} did not come up: {said}")
            time.sleep(0.2)

    def kill(self) -> None:
        """Ends all its processes at once, by SIGKILL, as losing power would."""
        assert self.machine is not None
        self.machine.kill()
        self.machine.wait()
        self.machine = None

    def run(self, command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Runs a shell command on it, by ssh."""
        return subprocess.run(
            ["ssh", *ssh_options(), f"root@{self.address}", command],
            capture_output=True,
            text=True,
            check=check,
        )

    def _boot_commands(self) -> list[str]:
        own = HOSTS / self.name
        project = shlex.quote(str(REPOSITORY))
        # Its lower layer lies where the new /tmp does not hide it.
        layers = f"lowerdir={BASE / 'kept/0'},upperdir={own}/layer,workdir={own}/work"
        back = [
            f"mkdir -p {shlex.quote(str(path))}; mount --bind {kept} {shlex.quote(str(path))}"
            for kept, path in folders_in_tmp()
        ]
        return [
            f"hostname {self.name}",
            "mount -t tmpfs -o mode=1777 tmpfs /tmp",
            "mount -t tmpfs -o mode=1777 tmpfs /dev/shm",
            *back,
            f"mount -t overlay -o {shlex.quote(layers)} overlay {project}",
            f"mount --bind {own}/home {HOME}",
            f"mount --bind {BASE}/hosts.txt /etc/hosts",
            f"mount -t tmpfs tmpfs {HOSTS}",
            # Bash stays, and reaps what loses its parent.
            f"{sshd()} -D -e -f {BASE}/{self.name}.sshd &",
            "wait",
        ]


class Network:
    """A bridge, and hosts on it: the first is the head."""

    def __init__(self, number: int) -> None:
        if not 2 <= number <= 100:
            raise InputError(f"--hosts must be 2 to 100, but is {number}.")
        self.hosts = [Host(f"host{n}", f"{SUBNET}.{n + 10}") for n in range(number)]

    @property
    def head(self) -> Host:
        return self.hosts[0]

    @property
    def workers(self) -> list[Host]:
        return self.hosts[1:]

    def build(self) -> None:
        """Lays the cables and switches the hosts on."""
        _ip("link add name bridge0 type bridge")
        _ip(f"address add {SUBNET}.1/24 dev bridge0")
        _ip("link set bridge0 up")
        _keygen(KEY)
        (BASE / "authorized_keys").write_text(KEY.with_suffix(".pub").read_text())
        known = [f"{host.address} {host.name}" for host in self.hosts]
        (BASE / "hosts.txt").write_text("\n".join(["127.0.0.1 localhost", *known, ""]))
        for host in self.hosts:
            self._connect(host)
            own = HOSTS / host.name
            for name in ("home", "layer", "work"):
                (own / name).mkdir(parents=True)
            (own / "home/.bashrc").touch()
            _keygen(BASE / f"{host.name}.host_key")
            (BASE / f"{host.name}.sshd").write_text(_sshd_config(host))
        for host in self.hosts:
            host.boot()

    def _connect(self, host: Host) -> None:
        _ip(f"netns add {host.name}")
        _ip(f"link add name {host.name} type veth peer name eth0 netns {host.name}")
        _ip(f"link set {host.name} master bridge0 up")
        for command in (
            "link set lo up",
            f"address add {host.address}/24 dev eth0",
            "link set eth0 up",
            # It leads nowhere; without one Ray takes 127.0.0.1 for the host's address.
            f"route add default via {SUBNET}.1",
        ):
            _ip(f"-n {host.name} {command}")


def ssh_options() -> list[str]:
    options = {
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "LogLevel": "ERROR",
        "ConnectTimeout": "5",
    }
    return ["-i", str(KEY), *(part for k, v in options.items() for part in ("-o", f"{k}={v}"))]


def _sshd_config(host: Host) -> str:
    lines: Sequence[str] = (
        f"ListenAddress {host.address}",
        f"HostKey {BASE}/{host.name}.host_key",
        f"AuthorizedKeysFile {BASE}/authorized_keys",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "UseDNS no",
        "MaxStartups 100",
    )
    return "\n".join([*lines, ""])


def _keygen(path: object) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)
