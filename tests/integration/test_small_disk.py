"""A disk that fills up during a training: one line, and the same command resumes."""

import shlex
import sys
from pathlib import Path

import pytest
from processes import each_once
from small_disk import needs_small_disk, run_on_small_disk

pytestmark = pytest.mark.integration
PHASE1 = Path(__file__).parents[2] / "experiments" / "phase1.py"


@needs_small_disk
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_full_disk_is_one_line_and_the_same_command_resumes(
    data: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    place = (f"--data.store={data}", f"--workspace={tmp_path}/workspace")
    arguments = each_once(*tiny, "--workers=1", *place)
    command = shlex.join([sys.executable, str(PHASE1), *arguments])
    ended = run_on_small_disk(
        tmp_path, "1200k",
        f"{command} >&2; echo first $?; free_space; {command} >&2; echo second $?",
        seconds=550,
    )  # fmt: skip
    assert ended.stdout.split("\n")[:2] == ["first 2", "second 0"], ended.stderr
    assert "Traceback" not in ended.stderr
    (line,) = [each for each in ended.stderr.splitlines() if each.startswith("error: ")]
    assert f"mounted at {tmp_path}, has 0." in line and "MB free; free some" in line
