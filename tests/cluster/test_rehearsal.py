"""The cluster rehearsed on hosts of this machine, and that nothing of it stays."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from cluster.rehearsal.enclosure import check_machine
from cluster.rehearsal.hosts import Network
from cluster.rehearsal.rayup import config_for
from hhmnet_core.errors import InputError

REPOSITORY = Path(__file__).parents[2]
REHEARSE = REPOSITORY / "cluster/rehearsal/rehearse.py"


def trouble() -> str:
    """Why this machine cannot rehearse; "" where it can."""
    try:
        check_machine()
    except InputError as error:
        return str(error)
    return ""


can_rehearse = pytest.mark.skipif(bool(trouble()), reason=trouble())


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """What a test starts; ended with it."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def below(ancestor: int) -> dict[int, str]:
    """The command lines, by process id, of a process's children, and of theirs, and so on."""
    parents, commands = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            commands[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: commands[pid] for pid in found - {ancestor}}


def alive(pids: Iterable[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def network_links() -> set[str]:
    return set(os.listdir("/sys/class/net"))


def test_config_is_the_template_with_the_hosts_in_it() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    network = Network(3)
    config = config_for(network)
    validate_config(prepare_config(config))
    assert config["provider"]["head_ip"] == network.head.address
    assert config["provider"]["worker_ips"] == [host.address for host in network.workers]
    commands = json.dumps([config[key] for key in config if key.endswith("commands")])
    assert "~/hhmnet/" not in commands and "/shared/hhmnet\\n" in commands
    assert "--num-cpus=2" in config["worker_start_ray_commands"][-1]
    assert "--num-cpus=0" in config["head_start_ray_commands"][-1]
    with pytest.raises(InputError, match="--hosts must be 2 to 100, but is 1"):
        Network(1)


def test_without_root_one_line_says_what_is_needed() -> None:
    if os.geteuid() == 0:
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*prefix, "true"], capture_output=True).returncode:
            pytest.skip("cannot give root away here")
        if subprocess.run([*prefix, sys.executable, "-c", ""], capture_output=True).returncode:
            pytest.skip("nobody else may run this Python")
    else:
        prefix = []
    done = subprocess.run([*prefix, sys.executable, REHEARSE], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "error: The rehearsal makes hosts of Linux namespaces: run it as root on Linux.\n"
    )


@can_rehearse
@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_rehearsal_leaves_nothing(
    processes: list["subprocess.Popen[bytes]"], tmp_path: Path, number: signal.Signals
) -> None:
    mounts, links = Path("/proc/mounts").read_text(), network_links()
    log = tmp_path / "log"
    process = subprocess.Popen([sys.executable, REHEARSE], stdout=log.open("wb"), stderr=2)
    processes.append(process)
    ends = time.monotonic() + 120
    while "are up" not in log.read_text():
        assert process.poll() is None and time.monotonic() < ends, log.read_text()
        time.sleep(0.2)
    ours = below(process.pid)
    assert sum("sshd" in command for command in ours.values()) >= 3
    process.send_signal(number)
    code = process.wait(60)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    ends = time.monotonic() + 10  # a killed one cannot wait for the kernel
    while alive(ours) and time.monotonic() < ends:
        time.sleep(0.1)
    assert alive(ours) == []
    assert Path("/proc/mounts").read_text() == mounts
    assert network_links() == links
    assert not Path("/run/rehearsal").exists()


@can_rehearse
@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_rehearsal_of_a_run_a_lost_host_and_bad_nodes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, REHEARSE, "--quiet=true", f"--out={tmp_path}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    run, lost, checks = (figures[name] for name in ("phase1", "lost_host", "checks"))
    assert sorted(run["modality_on"].values()) == ["host1", "host1", "host2", "host2"]
    for result in (run, lost):
        assert result["weights_differ_by"] <= 1e-5 and result["scores_differ_by"] <= 1e-5
        assert result["mlflow_epochs"] == 10
    assert 1 < lost["killed_in_epoch"] <= 10
    assert lost["checkpoints_bit_equal"] is True
    assert set(checks) == {
        "not_shared",
        "little_room",
        "full_disk",
        "no_package",
        "other_version",
        "other_source",
    }
    assert all("host2" in check["said"] for check in checks.values())
