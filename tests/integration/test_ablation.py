"""`experiments/ablate.py` as a user runs it: it trains, goes on, and names bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hhmnet_platform.datasets.builders import prepare_synthetic

pytestmark = pytest.mark.integration
ABLATE = Path(__file__).parents[2] / "experiments" / "ablate.py"


def ablate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ABLATE), *arguments], capture_output=True, text=True, timeout=250
    )


def test_runs_are_trained_once_and_summed_up(tmp_path: Path) -> None:
    prepare_synthetic(str(tmp_path / "store"), clips_per_class=6, stream="none")
    out = tmp_path / "runs.jsonl"
    arguments = (
        f"--data.store={tmp_path / 'store'}",
        "--data.frames=8",
        "--model.widths=[8]",
        "--model.heads=2",
        "--optim.epochs=1",
        "--processes=2",
        f"--out={out}",
    )
    first = ablate(*arguments, "--seeds=[1]", "--variants=[all,no mask]")
    assert first.returncode == 0, first.stderr
    runs = [json.loads(line) for line in out.read_text().splitlines()]
    assert {run["variant"] for run in runs} == {"all", "no mask"}
    assert "| no mask | 1 | " in first.stdout
    second = ablate(*arguments, "--seeds=[1,2]", "--variants=[all]")
    assert second.returncode == 0, second.stderr
    lines = out.read_text().splitlines()
    assert [json.loads(line) for line in lines[:2]] == runs and len(lines) == 3
    assert "| all | 2 | " in second.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--data.store is missing"),
        (("--data.store=/nowhere", "--variants=[no legs]"), "Unknown variant 'no legs'"),
        (("--data.store=/nowhere",), "/nowhere"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = ablate(*arguments)
    assert done.returncode == 2
    assert message in done.stderr and len(done.stderr.splitlines()) == 1
