"""Benchmarks: each has a help text, runs on small data, and reports bad input in one line."""

import itertools
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from hhmnet_platform.ablation.design import read_design
from hhmnet_platform.ablation.outcomes import Outcome
from hhmnet_platform.datasets.builders import prepare_synthetic
from hhmnet_platform.storage.line_files import append_line

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if path.name != "common.py")


def run(script: str, *arguments: object, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "HHMNET_CACHE": str(cache)},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    prepare_synthetic(str(folder), clips_per_class=10, stream="none")
    return folder


@pytest.fixture
def exit_code(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """`exit_code(script, *arguments)` runs a script in this process until it exits."""

    def run_here(script: str, *arguments: str) -> object:
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
        return ended.value.code

    return run_here


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_printed(
    script: str, exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(script, "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: {script}")


def test_input_pipeline_is_measured_on_a_tiny_store(store: Path, tmp_path: Path) -> None:
    small = ("--batches", 4, "--frames", 8, "--rounds", 1, "--steps", 1, "--threads", 1)
    done = run("input_pipeline.py", "--store", store, *small, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert [row.split("|")[1].strip() for row in rows] == [
        *("N", "-" * len(rows[1].split("|")[1].strip()), "4"),
        *("reading a store", "-" * len(rows[4].split("|")[1].strip())),
        *("shards, verified and decoded", "the node's file, mapped"),
    ]


@pytest.mark.slow
def test_waiting_for_images_is_measured_on_a_few_clips(tmp_path: Path) -> None:
    small = ("--clips", 3, "--size", 32, "--images", 2, "--epochs", 1, "--threads", 1)
    done = run("video_input.py", *small, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[1].strip() for row in rows[2:]] == ["decoded", "kept"]
    assert all(0 <= float(row[3].split()[0]) <= 100 for row in rows[2:])


def test_sizes_of_installed_packages_are_of_their_files(
    exit_code: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("installed_sizes.py", "--extras", "s3") == 0
    *lines, whole = capsys.readouterr().out.splitlines()
    cells = [[each.strip() for each in line.split("|")] for line in lines if "|" in line]
    sizes = {row[1]: (float(row[3]), float(row[4])) for row in cells[2:]}
    assert sizes["torch"][0] > 100
    assert sizes["mlflow"][1] > 10 and "s3fs" in sizes
    assert whole.startswith("The default install: ")


def test_memory_is_measured_on_a_few_clips(tmp_path: Path) -> None:
    small = ("--clips", 60, "--frames", 8, "--batch", 16, "--workers", 2)
    done = run("clip_memory.py", *small, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    first_cells = [line.split("|")[1].strip() for line in done.stdout.splitlines() if "| " in line]
    assert first_cells[0] == "60 clips" and first_cells[2:] == [
        "padded array", "kept by the process", "read from the file, 2 processes",
    ]  # fmt: skip


@pytest.mark.slow
def test_fusion_search_is_measured_on_a_few_clips(tmp_path: Path) -> None:
    small = ("--clips", 200, "--classes", 4, "--tables", 3, "--evaluations", 20, "--random", 50)
    done = run("fusion_search.py", *small, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    first_cells = [line.split("|")[1].strip() for line in done.stdout.splitlines() if "| " in line]
    assert {"searched, 2 x 20", "best of 50 random", "difference"} <= set(first_cells)


@pytest.mark.slow
def test_exported_models_are_measured(tmp_path: Path) -> None:
    small = ("--batches", 1, 2, "--frames", 8, "--rounds", 1, "--widths", 32)
    done = run("exported_model.py", *small, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [(row[1].strip(), row[2].strip()) for row in rows[1:] if "--" not in row[1]] == [
        (name, batch)
        for batch in ("1", "2")
        for name in ("Model.predict", "ONNX Runtime", "torch.export", "CTR-GCN, four streams")
    ]


@pytest.mark.slow
def test_a_gpu_is_proved_and_measured_or_a_cpu_in_its_place(tmp_path: Path) -> None:
    few = ("--device", "cpu", "--small", "--ways", "loop", "stacked", "--shapes", "nw_ucla")
    stage = {
        "parity": ("--batch", 2, "--precisions", "bf16"),
        "steps": ("--batches", 2, "--precisions", "float32", "--steps", 1, "--modalities", 1),
    }
    cells = {}
    for name, more in stage.items():
        done = run("gpu.py", *few[:2], name, *few[2:], *more, cache=tmp_path)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("| nw_ucla")]
        cells[name] = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    for _, way, precision, loss, weights in cells["parity"]:
        assert way in ("loop", "stacked")
        limit = 1e-3 if precision == "float32" else 0.2
        assert float(loss) < limit and float(weights) < limit
    assert [row[1:5] for row in cells["steps"]] == [
        ["ctr_gcn", "1", "loop", "float32"],
        ["stst", "1", "loop", "float32"],
        ["stst", "1", "stacked", "float32"],
    ]


@pytest.mark.slow
def test_a_recipe_is_trained_in_parts(store: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "{data: {frames: 8}, model: {widths: [16], heads: 2}, optim: {epochs: 2, batch: 8}}"
    )
    arguments = ("--config", recipe, "--store", store, "--out", tmp_path / "runs", "--minutes", 0)
    outputs = [
        run("gpu.py", "--device", "cpu", "train", *arguments, cache=tmp_path) for _ in range(2)
    ]
    assert "seed 1: 1 epochs are done; the same command goes on." in outputs[0].stdout
    assert "| seed 1 " in outputs[1].stdout, outputs[1].stderr


def test_main_effects_are_those_that_the_losses_were_made_of(tmp_path: Path) -> None:
    """Each factor of a constructed design adds its own amount to the log-loss."""
    file = tmp_path / "outcomes.jsonl"
    amounts = {"b1": (0.3, -0.1, 0.02), "b2": (0.1, -0.1, 0.04)}
    for bench, effects in amounts.items():
        for a, b in itertools.product((0, 1), repeat=2):
            levels = (a, b, 1 - (a ^ b))
            name = "".join(c.upper() if on else c for c, on in zip("abc", levels, strict=True))
            loss = 1 + sum(e * on for e, on in zip(effects, levels, strict=True))
            outcome = Outcome(name, 1, {}, "d", {"fusion": 0.5}, {"fusion": loss}, bench)
            append_line(file, asdict(outcome))
    done = run("main_effects.py", file, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [[c.strip() for c in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    assert rows[0] == ["log-loss, fusion", "A", "B", "C"]
    assert rows[2][1:] == ["+0.300", "-0.100", "+0.020"]
    assert rows[3][1:] == ["+0.100", "-0.100", "+0.040"]
    assert rows[4] == ["mean", "+0.200 ± 0.100", "-0.100 ± 0.000", "+0.030 ± 0.010"]
    assert run("main_effects.py", file, "--member", "bone", cache=tmp_path).returncode == 2


def test_the_design_of_the_defaults_is_balanced() -> None:
    design = read_design(str(BENCHMARKS.parent / "experiments/configs/bench_defaults.yaml"))
    signs = np.array([[2 * c.isupper() - 1 for c in name] for name in design.variants])
    np.testing.assert_array_equal(signs.T @ signs, 8 * np.eye(7))
    strong = [(name, changes) for name, changes in design.variants.items() if "G" in name]
    assert all(changes["augment.yaw"] == 60 for _, changes in strong) and len(strong) == 4


@pytest.mark.slow
def test_preparing_is_measured_on_a_few_files(tmp_path: Path) -> None:
    done = run("prepare.py", "--clips", 20, "--rounds", 1, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    first_cells = [line.split("|")[1].strip() for line in done.stdout.splitlines() if "| " in line]
    for expected in ("this parser", "NumPy a line", "round 1", "20 clips", "80 clips"):
        assert expected in first_cells


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("prepare.py", ["--clips", "none"], "expected a number of at least 1, not 'none'"),
        ("train_step.py", ["--batches", "0"], "expected a number of at least 1, not '0'"),
        ("input_pipeline.py", ["--store", "nowhere"], "There is no clip store at nowhere"),
        ("ray_overhead.py", ["steady", "--store", "nowhere"], "There is no clip store at nowhere"),
        ("ray_overhead.py", ["--layout", "1x3"], "expected D x P such as 1x2, not '1x3'"),
        ("ray_overhead.py", ["quick"], "expected steady, start or both, not quick"),
        ("ray_overhead.py", ["--also", "nowhere"], "--also nowhere is no checkout"),
        ("installed_sizes.py", ["--extras", "none"], "There is no extra none: give some of "),
        ("run_all.py", ["--out", "nowhere/report.md"], "there is no folder nowhere"),
    ],
)
def test_bad_input_is_one_line(
    script: str,
    arguments: list[str],
    expected: str,
    exit_code: Callable[..., object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code(script, *arguments) == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_score_tables_are_made_and_their_fusions_compared(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "tables.npz"
    done = run("score_tables.py", "--store", store, "--epochs", 1, "--out", file, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    compared = run(
        "choices.py", "tables", file, "--rotate", "--evaluations", 10, cache=tmp_path
    )  # fmt: skip
    assert compared.returncode == 0, compared.stderr
    row = next(line for line in compared.stdout.splitlines() if line.startswith("| tables"))
    assert row.endswith("100% |")  # one person of two dozen clips: equal weights stay


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("choices.py", ("tables", "nowhere.npz"), "There is no file nowhere.npz"),
        ("score_tables.py", ("--out", "nowhere/x.npz"), "there is no such folder"),
    ],
)
def test_places_that_do_not_exist_are_named(
    script: str,
    arguments: tuple[str, ...],
    message: str,
    exit_code: Callable[..., object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code(script, *arguments) == 2
    assert message in capsys.readouterr().err
