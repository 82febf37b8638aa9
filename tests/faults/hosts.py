"""Faults of the machine: a full disk, a file that cannot be read, a second user.

A full disk and a second user need root on Linux.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from faults.cases import Log, Outcome
from faults.kills import EXPERIMENTS, SECONDS, TARGETS, Kills
from faults.leavings import MARK, end_marked, marked
from processes import Process

FAILING = Path(__file__).with_name("failing")
SECOND_USER = Path(__file__).with_name("second_user.py")
NOBODY = "65534"
# Kilobytes of the disk that fills up; a command that needs less simply ends.
SIZES = {
    "prepare": (64, 400),
    "phase1": (200, 900),
    "fusion search": (16, 64),
    "ensemble": (16, 200),
}
# A file that a command reads, and whose reading fails.
UNREADABLE = {
    "fuse": "joint-test.parquet",
    "fusion search": "result.json",
    "phase2": "joint.safetensors",
    "phase1": "clips-00000.parquet",
    "ensemble": "test.parquet",
}
# Text by which a refusal names such a file, where it does not name the file itself.
NAMED = {"ensemble": "scores of"}  # which MLflow copies as a folder
# Where a command writes.
PLACES = {"prepare": "made"}


@dataclass(frozen=True)
class HostCase:
    fault: str
    target: str
    number: int

    @property
    def id(self) -> str:
        return f"host/{self.fault}/{self.target}-{self.number}"


def host_cases(full: bool) -> list[HostCase]:
    """Return all cases of a run."""
    disks = [HostCase("full disk", each, n) for n in range(4 if full else 1) for each in SIZES]
    reads = [HostCase("unreadable", target, 0) for target in UNREADABLE]
    users = [HostCase("second user", target, 0) for target in ("phase1", "search")]
    if full:
        return [*disks, *reads, *users]
    return [disks[0], *reads[:2], users[0], *disks[1:2]]


def run_host_case(case: HostCase, kills: Kills, seed: int, log: Log) -> None:
    """Run a case and record its outcome."""
    began, folder = time.monotonic(), kills.work / "host"
    run: Callable[..., tuple[str, str, str]] = _CASES[case.fault]
    try:
        kills.fill(TARGETS[case.target], folder)
        outcome, detail, output = run(case, kills, seed, folder)
    except AssertionError as error:
        outcome, detail, output = "broken", str(error)[-300:], str(error)
    log.add(Outcome(case.id, outcome, detail, time.monotonic() - began, output))
    shutil.rmtree(folder, ignore_errors=True)


def can_change_mounts() -> bool:
    """Return whether this process may mount disks and become another user."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def judge_refusal(code: int, output: str, words: tuple[str, ...]) -> tuple[str, str]:
    """Return the outcome of a command that met a fault of the machine."""
    lines = [line for line in output.splitlines() if line.strip()]
    if "Traceback (most recent call last)" in output:
        return "traceback", lines[-1][:300]
    errors = [line for line in lines if line.startswith("error: ")]
    if code != 2 or len(errors) != 1:
        return "unclear", f"exit code {code}: {' | '.join(lines[-2:])}"[:300]
    if not any(re.search(word, errors[0]) for word in words):
        return "unclear", errors[0][:300]
    return "refused", errors[0][:300]


def _full_disk(case: HostCase, kills: Kills, seed: int, folder: Path) -> tuple[str, str, str]:
    """Run a command on a disk that is too small, then again on one that is not."""
    if not can_change_mounts():
        return "skipped", "", ""
    low, high = SIZES[case.target]
    size = Random(f"{seed}/{case.id}").randrange(low, high)
    place = folder / PLACES.get(case.target, "workspace")
    script, *words = TARGETS[case.target].words(folder)
    environment = os.environ | {"HHMNET_CACHE": str(folder / "cache")}
    done = [folder / "first", folder / "again"]
    lines = (
        "set -u; place=$1; size=$2; first=$3; again=$4; shift 4",
        'mkdir -p "$place" /run/hhmnet-faults; cp -a "$place" "$first.kept"',
        'mount -t tmpfs -o size=1g tmpfs "$place"; cp -a "$first.kept/." "$place"',
        # What lies there already, and so many kilobytes.
        'used=$(df -k --output=used "$place" | tail -1)',
        'mount -o remount,size=$((used + size))k "$place"',
        '"$@" > "$first" 2>&1; echo $? > "$first.code"',
        'mount -o remount,size=1g "$place"',
        '"$@" > "$again" 2>&1; echo $? > "$again.code"',
    )
    command = [sys.executable, str(EXPERIMENTS / script), *words]
    subprocess.run(
        ["unshare", "-m", "sh", "-c", "\n".join(lines), "sh", place, str(size), *done, *command],
        env=environment, cwd=folder, timeout=2 * SECONDS, check=True,
    )  # fmt: skip
    first, again = (path.read_text(errors="replace") for path in done)
    codes = [int(path.with_name(f"{path.name}.code").read_text()) for path in done]
    output = f"{first}\n--- with space ---\n{again}"
    said = f"{size} kB: "
    outcome, detail = judge_refusal(codes[0], first, (r"No space left|disk|space",))
    if codes[0] == 0 and outcome != "traceback":
        outcome, detail = "accepted", "enough space"
    if outcome in ("refused", "accepted") and codes[1]:
        outcome, detail = "stuck", f"with space, exit code {codes[1]}: {again[-200:]}"
    return outcome, said + detail, output


def _unreadable(case: HostCase, kills: Kills, seed: int, folder: Path) -> tuple[str, str, str]:
    """Run a command while a file of its inputs cannot be read, then again when it can."""
    name = UNREADABLE[case.target]
    script, *words = TARGETS[case.target].words(folder)
    command = (sys.executable, EXPERIMENTS / script, *words)
    cache = {"HHMNET_CACHE": str(folder / "cache")}
    path = os.pathsep.join(
        filter(None, (str(FAILING), str(FAILING.parents[1]), os.environ.get("PYTHONPATH", "")))
    )
    failing = {"HHMNET_FAILING_FILE": name, "PYTHONPATH": path}
    inputs = sorted(each for each in folder.rglob(name) if each.is_file())
    before = {each: each.stat().st_mtime_ns for each in inputs}
    assert inputs, f"there is no {name}"
    process = kills.starter.program(*command, env=cache | failing, cwd=folder)
    code = process.finish(SECONDS)
    outcome, detail = judge_refusal(
        code, process.output, (re.escape(NAMED.get(case.target, name)),)
    )
    lost = [str(each) for each in inputs if _mtime(each) != before[each]]
    if lost:
        return "lost", f"deleted or changed: {', '.join(lost)}"[:300], process.output
    again = kills.starter.program(*command, env=cache, cwd=folder)
    output = f"{process.output}\n--- when it can be read ---\n"
    if again.finish(SECONDS):
        return "stuck", again.output[-300:], output + again.output
    return outcome, detail, output


def _mtime(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return 0


def _second_user(case: HostCase, kills: Kills, seed: int, folder: Path) -> tuple[str, str, str]:
    """Let a second user try to get at a run that is being trained."""
    if not can_change_mounts():
        return "skipped", "", ""
    script, *words = TARGETS[case.target].words(folder)
    words = [*words, "--optim.epochs=9000", *(["--epochs=9000"] if case.target == "search" else [])]
    mark = case.id
    command = (sys.executable, EXPERIMENTS / script, *words)
    environment = {MARK: mark, "HHMNET_CACHE": str(folder / "cache")}
    process = kills.starter.program(*command, env=environment, cwd=folder)
    try:
        _wait_for_training(process, folder)
        pids = marked(mark)
        ports = _ports(pids)
        folders = _session_folders(pids)
        tokens = [str(Path.home() / ".ray" / "auth_token")]
        tokens += [f"/proc/{pid}/environ" for pid in pids]
        given = [json.dumps(each) for each in (ports, folders, tokens)]
        with tempfile.TemporaryDirectory() as place:
            os.chmod(place, 0o755)
            attack = shutil.copy(SECOND_USER, place)
            os.chmod(attack, 0o644)
            user = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
            environment = {"PATH": os.environ["PATH"], "HOME": place, "RAY_AUTH_MODE": "token"}
            done = subprocess.run(
                [*user, sys.executable, attack, *given],
                env=environment, cwd=place, capture_output=True, text=True, timeout=SECONDS,
            )  # fmt: skip
        if done.returncode:
            return "broken", done.stderr[-300:], done.stderr
        got = done.stdout.strip().splitlines()
        said = f"{len(ports)} ports, {len(folders)} folders, {len(tokens)} files"
        output = f"{said}\n{done.stdout}\n{done.stderr}"
        return ("entered", got[0][:300], output) if got else ("kept out", said, "")
    finally:
        process.stop()
        end_marked(mark)


def _wait_for_training(process: Process, folder: Path) -> None:
    ends = time.monotonic() + SECONDS
    while not list((folder / "workspace").glob("runs/*/epoch-*/state.json")):
        assert process.returncode is None, process.output
        assert time.monotonic() < ends, process.output
        time.sleep(0.2)


def _session_folders(pids: list[int]) -> list[str]:
    """Return the folder of Ray's session, which its processes are given, and the one it is in."""
    found: set[Path] = set()
    for pid in pids:
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            found |= {Path(path) for path in re.findall(r"/[^\0=:,\s]*/session_[\d_-]+", words)}
    outer = {path.parent for path in found} - {Path(tempfile.gettempdir())}
    return sorted(map(str, found | outer))


def _ports(pids: list[int]) -> list[int]:
    """Return the TCP ports on which processes listen."""
    listed = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    ports = set()
    for line in listed.splitlines():
        owners = {int(pid) for pid in re.findall(r"pid=(\d+)", line)}
        if owners & set(pids):
            ports.add(int(line.split()[3].rpartition(":")[2]))
    return sorted(ports)


_CASES = {"full disk": _full_disk, "unreadable": _unreadable, "second user": _second_user}
