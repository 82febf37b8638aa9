"""`ablate.py` from the command line: it trains, resumes, and refuses bad input."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import wait_until

pytestmark = pytest.mark.integration
EXPERIMENTS = Path(__file__).parents[2] / "experiments"
Start = Callable[..., Any]


def test_runs_are_trained_once_and_summed_up(run_script: Start, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    arguments = (
        f"--data.store={data}",
        "--data.frames=8",
        "--model.widths=[8]",
        "--model.heads=2",
        "--optim.epochs=1",
        "--processes=2",
        f"--out={out}",
    )
    first = run_script("ablate.py", *arguments, "--seeds=[1]", "--variants=[all,no mask]")
    assert first.finish() == 0, first.output
    runs = [json.loads(line) for line in out.read_text().splitlines()]
    assert {run["variant"] for run in runs} == {"all", "no mask"}
    assert "| no mask | 1 | " in first.output
    second = run_script("ablate.py", *arguments, "--seeds=[1,2]", "--variants=[all]")
    assert second.finish() == 0, second.output
    lines = out.read_text().splitlines()
    assert [json.loads(line) for line in lines[:2]] == runs and len(lines) == 3
    assert "| all | 2 | " in second.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--data.store is missing"),
        (("--data.store=/nowhere", "--variants=[no legs]"), "Unknown variant 'no legs'"),
        (("--data.store=/nowhere",), "/nowhere"),
    ],
)
def test_bad_input_is_one_line(run_script: Start, arguments: tuple[str, ...], message: str) -> None:
    process = run_script("ablate.py", *arguments)
    assert process.finish(120) == 2
    assert message in process.output and len(process.output.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_all", [True, False])
def test_interrupt_ends_all_processes_at_once(
    number: signal.Signals, to_all: bool, data: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [
            sys.executable, EXPERIMENTS / "ablate.py", f"--data.store={data}", "--processes=1",
            "--optim.epochs=9999", "--seeds=[1]", "--variants=[all]", f"--out={tmp_path / 'out'}",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: len(children.read_text().split()) == 2, "a process that trains")
    time.sleep(1)
    (os.killpg if to_all else os.kill)(process.pid, number)
    _, error = process.communicate(timeout=60)  # its processes hold the pipes
    assert (process.returncode, error) == (130, "interrupted.\n")
