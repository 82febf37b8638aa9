"""The script that exports models, on the runs of an earlier version."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from earlier_version import PHASE1, PHASE2, unpack

from hhmnet_core.deploy.export_formats import load_graph
from hhmnet_core.deploy.model import load_model
from hhmnet_core.store.reading import load_clips

SCRIPT = Path(__file__).parents[2] / "experiments" / "export.py"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store and a workspace, whose runs have no models yet."""
    return unpack(tmp_path_factory.mktemp("export"))[0].parent


def arguments(example: Path, run: str, *others: object) -> list[str]:
    given = ("--model", run, "--workspace", example / "workspace", "--data.store")
    return [*map(str, (SCRIPT, *given, example / "store", *others))]


@pytest.mark.integration
@pytest.mark.slow
def test_a_finished_run_becomes_a_file_that_predicts_its_clips(
    example: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.onnx"
    command = [sys.executable, *arguments(example, PHASE1, "--format", "onnx", "--out", out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert f"{out}: ONNX, opset 20" in done.stdout and "checked on" in done.stdout
    model = load_model(example / "workspace" / "runs" / PHASE1 / "model")
    clips = load_clips(example / "store")
    run = load_graph(out.read_bytes(), "onnx")
    for number in range(len(clips)):
        clip = clips.clip(number)
        joints, (bodies, frames) = clip.joints[None], clip.joints.shape[:2]
        found, _ = run(joints, np.array([frames]), np.array([bodies]))
        np.testing.assert_allclose(found, model.predict([clip]), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        (PHASE2, ("--format", "onnx", "--out", "{}/a.onnx"), "--without_video true"),
        (PHASE1, ("--format", "pt2"), "--out is missing"),
        (PHASE1, ("--format", "tflite", "--out", "{}/a"), "format"),
        ("nobody", ("--format", "pt2", "--out", "{}/a.pt2"), "There is no model nobody"),
    ],
)
@pytest.mark.usefixtures("own_signals")
def test_what_cannot_be_exported_gives_one_line_and_exit_code_2(
    run: str,
    options: tuple[str, ...],
    message: str,
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [each.format(tmp_path) for each in options]
    monkeypatch.setattr(sys, "argv", arguments(example, run, *given))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and out == ""
    assert len(err.splitlines()) == 1 and err.startswith("error: ") and message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("own_signals")
def test_a_run_with_video_is_copied_whole_or_without_it(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, options in (("whole", ()), ("skeleton", ("--without_video", "true"))):
        given = arguments(example, PHASE2, "--out", tmp_path / name, *options)
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        assert ended.value.code == 0
        assert load_model(tmp_path / name).reads_video is (name == "whole")
