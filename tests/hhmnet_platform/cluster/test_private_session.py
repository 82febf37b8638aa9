"""The folder and the token of a local Ray: rights, ends, and what killed processes leave."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.cluster.private_session import private_session, protect_token_file


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short folder that RAY_TMPDIR names."""
    folder = Path(tempfile.mkdtemp(prefix="b", dir="/tmp"))
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_token_are_its_own_and_end_with_it(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of a cluster")
    tokens = set()
    for _ in range(2):
        with private_session() as folder:
            closed = Path(folder).parent
            assert closed.parent == base and rights(closed) == 0o700
            tokens.add(os.environ["RAY_AUTH_TOKEN"])
        assert os.environ["RAY_AUTH_TOKEN"] == "of a cluster"
        assert list(base.iterdir()) == []
    assert len(tokens) == 2 and "of a cluster" not in tokens


def test_folder_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(base: Path) -> None:
    killed = """
import os, signal
from hhmnet_platform.cluster.private_session import private_session
with private_session() as folder:
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    made = subprocess.run([sys.executable, "-c", killed], capture_output=True, text=True).stdout
    left = Path(made.strip()).parent
    assert left.parent == base and left.exists()
    with private_session() as living:
        assert not left.exists()
        with private_session():
            assert Path(living).parent.exists()


@pytest.mark.parametrize("reason", ["is not an absolute path", "is not a folder", "too long"])
def test_ray_tmpdir_that_cannot_be_used_is_refused(
    reason: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = base / ("x" * 40)
    long.mkdir()
    given = {"is not an absolute path": "here", "is not a folder": base / "no", "too long": long}
    monkeypatch.setenv("RAY_TMPDIR", str(given[reason]))
    with pytest.raises(InputError, match=rf"RAY_TMPDIR=.* {reason}.*: give a short path"):
        with private_session():
            pass


def test_long_folder_for_temporary_files_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 40)))
    with private_session() as folder:
        assert Path(folder).parent.parent == Path("/tmp")


def test_without_a_short_folder_one_line_names_ray_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 40)))
    monkeypatch.setattr(os, "access", lambda path, mode: path != "/tmp")
    with pytest.raises(InputError, match=r"TMPDIR=.*xxx, is longer than .*: set RAY_TMPDIR to a"):
        with private_session():
            pass


def test_token_file_is_closed_to_other_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    protect_token_file()  # none there
    assert list(tmp_path.iterdir()) == []
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir(mode=0o755)
    token.write_text("secret")
    token.chmod(0o644)
    protect_token_file()
    assert (rights(token), rights(token.parent)) == (0o600, 0o700)
    assert token.read_text() == "secret"
