"""Cases in forks: what they return, and how they end when they do not."""

import os
import signal
import time
from pathlib import Path

from faults.isolated import run_case, run_cases


def _raise() -> None:
    raise ValueError("no luck")


def _fill_memory() -> int:
    return len(bytearray(8 << 30))


def test_values_output_and_exceptions_come_back(tmp_path: Path) -> None:
    ended = run_case(lambda: [1, "a"], tmp_path)
    assert (ended.status, ended.value) == ("returned", [1, "a"])
    crashed = run_case(_raise, tmp_path)
    assert crashed.status == "crash" and "ValueError: no luck" in crashed.output


def test_hang_memory_and_signals_are_told_apart(tmp_path: Path) -> None:
    began = time.monotonic()
    assert run_case(lambda: time.sleep(60), tmp_path, seconds=0.3).status == "hang"
    assert time.monotonic() - began < 20
    assert run_case(_fill_memory, tmp_path, memory=1 << 30).status == "memory"
    killed = run_case(lambda: os.kill(os.getpid(), signal.SIGSEGV), tmp_path)
    assert killed.status == "crash" and killed.output.endswith("ended by signal 11")


def test_cases_run_side_by_side_and_leave_nothing(tmp_path: Path) -> None:
    cases = [(str(number), lambda number=number: number * number) for number in range(6)]
    ended = dict(run_cases(cases, tmp_path / "forks", 3))
    assert {name: each.value for name, each in ended.items()} == {
        str(number): number * number for number in range(6)
    }
    assert not list((tmp_path / "forks").iterdir())
