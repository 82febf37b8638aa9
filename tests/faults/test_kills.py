"""Kills: results without times, differences, and processes found by their mark."""

import json
import os
import subprocess
import sys
from pathlib import Path

from faults.kills import TARGETS, kill_cases
from faults.leavings import MARK, differing, end_marked, marked, results_of


def test_results_are_compared_without_times_and_places(tmp_path: Path) -> None:
    found = []
    for name, seconds, top1 in (("a", 1.5, 0.5), ("b", 2.5, 0.5), ("c", 1.5, 0.75)):
        folder = tmp_path / name
        folder.mkdir()
        values = {"seconds": seconds, "top1": top1, "uri": f"{folder}/store"}
        (folder / "result.json").write_text(json.dumps({"rows": [values]}))
        found.append(results_of(folder, ("*.json",)))
    assert not differing(found[0], found[1])
    assert differing(found[0], found[2]) == ["result.json"]
    assert differing(found[0], {}) == ["lacks result.json"]


def test_processes_are_found_by_their_mark() -> None:
    sleep = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    process = subprocess.Popen(
        sleep, env=os.environ | {MARK: "mark-of-a-test"}, stdout=subprocess.PIPE
    )
    assert process.stdout and process.stdout.readline()
    assert marked("mark-of-a-test") == [process.pid]
    end_marked("mark-of-a-test")
    assert process.wait(10) < 0 and not marked("mark-of-a-test")


def test_whole_run_has_kills_of_every_target() -> None:
    assert len(kill_cases(1, full=True)) >= 60
    assert {case.target for case in kill_cases(1, full=False)} == set(TARGETS)
