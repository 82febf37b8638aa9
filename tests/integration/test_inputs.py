"""Bad input ends a script with one clear line and exit code 2, before Ray is started."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import free_port

pytestmark = pytest.mark.integration
Start = Callable[..., Any]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def refusal(process: Any) -> str:
    """Return the one line that a process ended with."""
    assert process.finish(120) == 2, process.output
    assert "starting Ray" not in process.output and "Traceback" not in process.output
    lines = [line for line in process.output.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: "), process.output
    return str(lines[0])


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    """A copy of the store, to be damaged."""
    return Path(shutil.copytree(data, tmp_path / "store"))


@pytest.mark.parametrize("script", ["phase1.py", "search.py", "ensemble.py"])
def test_script_in_an_interpreter_of_its_own_prints_one_line(start: Start, script: str) -> None:
    process = start(sys.executable, EXPERIMENTS / script, "--optim.lrr=1")
    assert "lrr" in refusal(process)


def test_missing_store(phase1: Start, tmp_path: Path) -> None:
    line = refusal(phase1(tmp_path, f"--data.store={tmp_path / 'nothing'}"))
    assert "There is no clip store at" in line and "nothing" in line


def test_store_with_one_byte_flipped(phase1: Start, tmp_path: Path, copy: Path) -> None:
    shard = copy / "clips-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert "clips-00000.parquet" in refusal(phase1(tmp_path, f"--data.store={copy}"))


def test_store_of_an_unknown_layout(phase1: Start, tmp_path: Path, copy: Path) -> None:
    from dataclasses import replace

    from hhmnet_core.store.reading import read_manifest

    manifest = replace(read_manifest(copy), layout="kinect_v9_99")
    manifest = replace(manifest, digest=manifest.expected_digest())
    (copy / "manifest.json").write_text(manifest.to_json())
    assert "kinect_v9_99" in refusal(phase1(tmp_path, f"--data.store={copy}"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--optim.lrr=1",), "--optim.lrr"),
        (("--modality_parallel=8",), "must be 1, 2 or 4"),
        (("--workers=3", "--modality_parallel=2"), "a multiple of 2"),
        (("--workers=4096",), "this machine has"),
        (("--name=a/b",), "'a/b'"),
        (("--data.protocol=sideways",), "cross-view"),
    ],
    ids=lambda value: str(value[-1]).lstrip("-") if isinstance(value, tuple) else "",
)
def test_bad_argument(
    phase1: Start, tmp_path: Path, arguments: tuple[str, ...], expected: str
) -> None:
    assert expected in refusal(phase1(tmp_path, *arguments))


def test_workspace_that_cannot_be_written(phase1: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal(phase1(tmp_path / "file" / "workspace"))


def test_config_file_that_is_missing(phase1: Start, tmp_path: Path) -> None:
    assert "nothing.yaml" in refusal(phase1(tmp_path, f"--config={tmp_path / 'nothing.yaml'}"))


def test_config_file_that_is_not_yaml(phase1: Start, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("optim: [1, 2")
    refusal(phase1(tmp_path, f"--config={config}"))


def test_config_file_with_an_unknown_key(phase1: Start, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("optim:\n  learning_rate: 0.1\n")
    assert "learning_rate" in refusal(phase1(tmp_path, f"--config={config}"))


def test_address_where_no_cluster_answers(phase1: Start, tmp_path: Path) -> None:
    process = phase1(tmp_path, env={"RAY_ADDRESS": f"127.0.0.1:{free_port()}"})
    assert process.finish(120) == 2, process.output
    assert "error: No Ray cluster can be joined" in process.output
    assert "Traceback" not in process.output


def test_dry_run_prints_the_plan_and_starts_nothing(phase1: Start, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    process = phase1(workspace, "--dry_run=true")
    assert process.finish(120) == 0, process.output
    for head in ("mesh", "batch", "parameters", "steps", "time", "disk"):
        assert f"\n{head} " in process.output
    assert not workspace.exists()


def test_dry_run_of_the_demo_leaves_no_file(run_script: Start, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    process = run_script("pipeline.py", f"--workspace={workspace}", "--dry_run=true")
    assert process.finish(120) == 0, process.output
    assert "clips       756 train, 126 val, 378 test" in process.output
    assert (
        "input       48 frames a clip, spaced 50% by motion, so that rests count less"
        in process.output
    )
    assert "steps       48 per epoch, 576 in 12 epochs" in process.output
    assert re.search(r"^run         synthetic-phase1-[0-9a-f]{8}$", process.output, re.MULTILINE)
    assert "phase 2" in process.output
    assert not workspace.exists()


def test_print_config_shows_every_field(phase1: Start, tmp_path: Path) -> None:
    process = phase1(tmp_path, "--print_config")
    assert process.finish(120) == 0, process.output
    for key in ("workspace:", "modality_parallel:", "optim:", "epochs: 3"):
        assert key in process.output
