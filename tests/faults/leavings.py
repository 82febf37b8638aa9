"""What a command leaves behind: results, and processes that still live."""

import hashlib
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from processes import Process

GRACE = 10.0  # seconds after which no process may be left
MARK = "HHMNET_FAULT_CASE"  # environment variable by which a command's processes are found


def results_of(folder: Path, patterns: tuple[str, ...]) -> dict[str, str]:
    """Return the sha256 of result files by path.

    Of JSON files times and places are left out, of files of JSON lines the order too.
    """
    results = {}
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".json":
                content = json.dumps(_lasting(json.loads(content), str(folder))).encode()
            elif path.suffix == ".jsonl":
                records = [_lasting(json.loads(line), str(folder)) for line in content.splitlines()]
                content = "\n".join(sorted(map(json.dumps, records))).encode()
            results[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return results


def _lasting(value: Any, folder: str) -> Any:
    """Return JSON values without times, MLflow's ids and the folder of the case."""
    if isinstance(value, dict):
        passing = ("seconds", "run_id")
        return {k: _lasting(v, folder) for k, v in value.items() if k not in passing}
    if isinstance(value, list):
        return [_lasting(each, folder) for each in value]
    return value.replace(folder, "") if isinstance(value, str) else value


def differing(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Return what differs between two results, a text for each file."""
    return (
        [f"lacks {name}" for name in expected.keys() - found.keys()]
        + [f"has {name}" for name in found.keys() - expected.keys()]
        + [name for name in expected.keys() & found.keys() if expected[name] != found[name]]
    )


def marked(mark: str) -> list[int]:
    """Return the ids of the living processes whose environment has the mark of a command."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_alive = (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if is_alive and f"{MARK}={mark}".encode() in (path / "environ").read_bytes():
                found.append(int(path.name))
    return found


def left_after(process: Process, mark: str) -> list[str]:
    """Return the command lines of a command's processes that are left after the time of grace."""
    ends = time.monotonic() + GRACE
    while time.monotonic() < ends:
        process.popen.poll()  # one that has ended is no more than an entry until it is asked for
        if not marked(mark):
            return []
        time.sleep(0.1)
    return list(filter(None, map(_command_of, marked(mark))))


def end_marked(mark: str) -> None:
    """End the processes of a command that still live."""
    for pid in marked(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _command_of(pid: int) -> str:
    """Return the command line of a process, "" for one that is ending."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return " ".join(word.decode(errors="replace") for word in words)[:100]
    return ""
