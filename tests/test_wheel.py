"""The wheel alone, in an empty folder: the program, its recipes, a training."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = ("--model.widths", "16", "16", "--model.heads", "2", "--data.frames", "16")


@pytest.mark.slow
@pytest.mark.integration
def test_a_shipped_recipe_is_trained_from_the_wheel_without_the_repository(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-q", "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed, empty = tmp_path / "installed", tmp_path / "empty"
    subprocess.run([*pip, "install", "--no-deps", "-q", "--target", installed, wheel], check=True)
    assert (installed / "hhmnet_platform" / "fusion" / "ensemble_report.html").exists()
    empty.mkdir()

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [installed / "bin" / "hhmnet", *arguments],
            cwd=empty,
            env={**os.environ, "PYTHONPATH": str(installed)},  # before an editable install
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("--version").startswith("hhmnet ")
    assert "train phase1|phase2" in run("--help")
    printed = run("train", "phase1", "--config", "nw_ucla_cpu", "--print-config")
    assert "protocol: 12-3" in printed
    run("prepare", "synthetic", "--store", "data", "--clips-per-class", "3", "--stream", "none")
    given = ("--config", "demo", "--data.store", "data", *TINY, "--optim.epochs", "1")
    assert "fusion" in run("train", "phase1", *given, "--workers", "1", "--name", "tried")
    assert (empty / "workspace" / "runs" / "tried" / "result.json").exists()
