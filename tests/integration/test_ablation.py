"""`ablate.py` from the command line: it trains, resumes, and refuses bad input."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration
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
