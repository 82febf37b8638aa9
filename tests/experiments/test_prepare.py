"""The script that prepares stores: its exit codes and messages."""

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nw_ucla_files import write_nw_ucla_zip

SCRIPT = Path(__file__).parents[2] / "experiments" / "prepare.py"


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
    source = write_nw_ucla_zip(tmp_path / "z.zip")
    command = ("nw_ucla", "--source", source, "--store", tmp_path / "store")
    first, again = run(*command), run(*command)
    assert first.returncode == again.returncode == 0
    assert "Nothing to do" not in first.stdout
    assert "Nothing to do" in again.stdout
    assert first.stderr == again.stderr == ""


def cut_json(folder: Path) -> tuple[object, ...]:
    source = write_nw_ucla_zip(folder / "z.zip", a01_s02_e00_v03='{"skeletons": [[[0.1,')
    return "nw_ucla", "--source", source, "--store", folder / "store"


def cut_zip(folder: Path) -> tuple[object, ...]:
    source = write_nw_ucla_zip(folder / "z.zip")
    source.write_bytes(source.read_bytes()[:-300])
    return "nw_ucla", "--source", source, "--store", folder / "store"


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
@pytest.mark.usefixtures("own_signals")
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
