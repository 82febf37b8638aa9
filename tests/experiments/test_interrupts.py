"""Ctrl-C and SIGTERM in the first seconds of the scripts, and what the scripts import."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import wait_until

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SCRIPTS = sorted(path.name for path in EXPERIMENTS.glob("*.py"))
HEAVY = {"jsonargparse", "matplotlib", "mlflow", "numpy", "optuna", "ray", "rich", "torch"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_handles_interrupts_before_it_imports_anything_that_takes_time(name: str) -> None:
    code = f"import runpy, sys; runpy.run_path({str(EXPERIMENTS / name)!r}, run_name='imported')"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert not HEAVY & set(done.stdout.split())


def catches(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    "command",
    [("phase1.py",), ("prepare.py", "synthetic", "--store=store", "--clips_per_class=40")],
    ids=lambda command: command[0],
)
def test_interrupt_at_any_moment_is_one_line_and_exit_code_130(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    moments = random.Random(3)
    for trial in range(6):
        folder = tmp_path / str(trial)
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, EXPERIMENTS / command[0], *command[1:]],
            cwd=folder, env={**os.environ, "HHMNET_WORKSPACE": str(folder)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        # Until then Python itself starts.
        wait_until(lambda pid=process.pid: catches(pid, signal.SIGTERM), "the script's first lines")
        seconds = moments.uniform(0, 4)
        time.sleep(seconds)
        process.send_signal((signal.SIGINT, signal.SIGTERM)[trial % 2])
        _, error = process.communicate(timeout=90)
        assert (process.returncode, error) == (130, "interrupted.\n"), f"after {seconds:.2f} s"
