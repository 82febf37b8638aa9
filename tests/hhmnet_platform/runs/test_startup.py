"""The parts of a start-up, and when a process began."""

import subprocess
import sys
import time

from hhmnet_platform.runs.startup import Startup, process_start_time


def test_parts_follow_each_other() -> None:
    startup = Startup(100.0)
    startup.mark("imports", 102.0)
    startup.mark("Ray", 106.5)
    assert str(startup) == "first step after 6.5 s: imports 2.0, Ray 4.5"


def test_part_ends_now_unless_told_otherwise() -> None:
    before = time.time()
    startup = Startup(before)
    startup.mark("imports")
    assert before <= startup.ended["imports"] <= time.time()


def test_process_began_before_what_it_does() -> None:
    before = time.time()
    code = (
        "from hhmnet_platform.runs.startup import process_start_time; print(process_start_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert before - 0.1 < float(done.stdout) < time.time()
    assert process_start_time() < before
