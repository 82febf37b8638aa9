"""Preparing clip stores: built once, never over something else, one line per error."""

import json
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from hhmnet_core.errors import InputError
from hhmnet_core.sources.synthetic import recordings as synthetic
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.reading import load_clips, read_manifest
from hhmnet_platform.datasets.builders import prepare_nw_ucla, prepare_synthetic
from hhmnet_platform.datasets.prepare import print_prepared

SCRIPT = Path(__file__).parents[3] / "experiments" / "prepare.py"


def make_zip(path: Path, **contents: str) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for subject in (1, 2):
            for view in (1, 2, 3):
                name = f"a01_s{subject:02d}_e00_v{view:02d}"
                skeletons = [[[0.1 * view, 0.2, 2.0]] * 20] * (2 * subject)
                good = json.dumps({"file_name": name, "skeletons": skeletons, "label": 1})
                packed.writestr(f"all_sqe/{name}.json", contents.get(name, good))
    return path


def shown(*arguments: object) -> str:
    out = StringIO()
    print_prepared(*arguments, Console(file=out, width=120))  # type: ignore[arg-type]
    return out.getvalue()


def test_store_is_built_once(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = prepare_synthetic(store, clips_per_class=2, stream="none")
    times = {path: path.stat().st_mtime_ns for path in Path(store).iterdir()}
    again = prepare_synthetic(store, clips_per_class=2, stream="none")
    assert (first.written, again.written) == (True, False)
    assert first.manifest == again.manifest == read_manifest(store)
    assert times == {path: path.stat().st_mtime_ns for path in Path(store).iterdir()}
    assert first.manifest.num_clips == 2 * len(synthetic.CLASS_NAMES)
    assert "Nothing to do" in shown(again)
    assert "Nothing to do" not in shown(first)


def test_synthetic_with_video_has_the_same_skeletons(tmp_path: Path) -> None:
    alone = str(tmp_path / "alone")
    prepare_synthetic(alone, clips_per_class=1, stream="none")
    for workers in (1, 2):
        filmed = str(tmp_path / f"filmed{workers}")
        video = VideoConfig(frames=2, size=32)
        manifest = prepare_synthetic(filmed, 1, 1, video=video, workers=workers).manifest
        assert manifest.visual and manifest.visual.clips == manifest.num_clips == 21
        both = [load_clips(store, tmp_path / "cache") for store in (alone, filmed)]
        assert np.array_equal(both[0].frames, both[1].frames)
    with pytest.raises(InputError, match=r"made from something else .video"):
        prepare_synthetic(filmed, clips_per_class=1, stream="none")


def test_store_of_something_else_is_kept_unless_overwritten(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = prepare_synthetic(store, clips_per_class=1, stream="none")
    with pytest.raises(InputError, match=r"made from something else .seed 1, now 2.: give"):
        prepare_synthetic(store, seed=2, clips_per_class=1, stream="none")
    assert read_manifest(store) == first.manifest
    other = prepare_synthetic(store, seed=2, clips_per_class=1, stream="none", overwrite=True)
    assert other.written
    assert other.manifest.digest != first.manifest.digest


@pytest.mark.parametrize("damaged", ["clips-00000.parquet", "manifest.json"])
def test_damaged_store_is_kept_unless_overwritten(tmp_path: Path, damaged: str) -> None:
    store = tmp_path / "store"
    first = prepare_synthetic(str(store), clips_per_class=1, stream="none")
    (store / damaged).write_bytes((store / damaged).read_bytes()[:-100])
    with pytest.raises(InputError, match=rf"{damaged} .*--overwrite true"):
        prepare_synthetic(str(store), clips_per_class=1, stream="none")
    again = prepare_synthetic(str(store), clips_per_class=1, stream="none", overwrite=True)
    assert again.manifest == first.manifest


def test_summary_shows_the_content_of_the_store(tmp_path: Path) -> None:
    prepared = prepare_nw_ucla(str(make_zip(tmp_path / "z.zip")), str(tmp_path / "store"))
    text = shown(prepared)
    for expected in ("nw_ucla", "6 clips with 1", "2 / 3 / 4", "12-3", prepared.manifest.digest):
        assert expected in text
    assert "holds 6 clips; 1,484 are published" in text
    assert prepared.manifest.counts["12-3"] == {"train": 2, "val": 2, "test": 2}


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.integration
def test_same_command_again_does_nothing(tmp_path: Path) -> None:
    command = ("nw_ucla", "--source", make_zip(tmp_path / "z.zip"), "--store", tmp_path / "store")
    first, again = run(*command), run(*command)
    assert first.returncode == again.returncode == 0
    assert "Nothing to do" not in first.stdout
    assert "Nothing to do" in again.stdout
    assert not first.stderr
    assert again.stderr == ""


def cut_json(folder: Path) -> tuple[object, ...]:
    path = make_zip(folder / "z.zip", a01_s02_e00_v03='{"skeletons": [[[0.1,')
    return "nw_ucla", "--source", path, "--store", folder / "store"


def cut_zip(folder: Path) -> tuple[object, ...]:
    path = make_zip(folder / "z.zip")
    path.write_bytes(path.read_bytes()[:-300])
    return "nw_ucla", "--source", path, "--store", folder / "store"


def no_folder(folder: Path) -> tuple[object, ...]:
    (folder / "file").touch()
    return "synthetic", "--clips_per_class", 1, "--store", folder / "file" / "store"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (cut_json, "a01_s02_e00_v03.json"),
        (cut_zip, "z.zip is not a whole zip file"),
        (no_folder, "file/store"),
        (lambda at: ("nw_ucla", "--source", at / "no", "--store", at / "store"), "nothing at"),
        (lambda at: ("synthetic", "--store", at / "store", "--sed", 1), "--sed"),
        (lambda at: ("synthetic", "--store", at / "store", "--seed", "x"), "seed"),
        (lambda at: ("nothing",), "nothing"),
        (lambda at: (), "command"),
        (lambda at: ("verify", "--store", at / "no"), "There is no clip store at"),
        (lambda at: ("describe", "--store", at / "no"), "There is no clip store at"),
    ],
)
def test_wrong_input_gives_one_line_and_exit_code_2(
    tmp_path: Path,
    arguments: Callable[[Path], tuple[object, ...]],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments(tmp_path))])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.strip() and "━" not in line]
    assert ended.value.code == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert expected in lines[0]
    assert out == ""
    assert not (tmp_path / "store" / "manifest.json").exists()
