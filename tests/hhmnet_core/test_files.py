"""Files at any URI: atomic writes, and errors of one line."""

import os
import sys
from pathlib import Path

import pytest
from small_disk import needs_small_disk, run_on_small_disk

from hhmnet_core.checks import memory
from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.files import folder, split_uri, write_local


@pytest.mark.parametrize("uri", ["{tmp}/made", "memory://test-files"])
def test_files_are_written_listed_read_and_removed(tmp_path: Path, uri: str) -> None:
    target = folder(uri.format(tmp=tmp_path))
    assert target.names() == []
    target.write("b", b"two")
    target.write("a", b"one")
    target.write("a", b"1")
    assert target.names() == ["a", "b"] and target.read("a") == b"1"
    assert target.size("b") == 3
    with target.open("b") as file:
        assert file.read(2) == b"tw"
    target.remove("a")
    assert target.names() == ["b"]
    with pytest.raises(FileNotFoundError):
        target.read("a")


def test_version_changes_with_the_file(tmp_path: Path) -> None:
    target = folder(tmp_path)
    target.write("a", b"one")
    before = target.version("a")
    assert target.version("a") == before
    target.write("a", b"two")
    assert target.version("a") != before


def test_folder_is_removed_with_its_content(tmp_path: Path) -> None:
    folder(tmp_path / "sub").write("a", b"one")
    folder(tmp_path).remove_folder("sub")
    assert folder(tmp_path).names() == []


def test_only_local_folders_are_local(tmp_path: Path) -> None:
    assert folder(tmp_path).is_local and not folder("memory://somewhere").is_local


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"Cannot write a in .*/file/sub \(Not a directory\)"):
        folder(tmp_path / "file" / "sub").write("a", b"")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "An empty location"),
        ("  ", "An empty location"),
        ("nope://x/y", "Cannot open nope://"),
        ("a\0b", "zero byte"),
    ],
)
def test_uri_that_cannot_be_opened_is_named(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        folder(uri)


def test_no_file_has_a_zero_byte_in_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'a\\x00b' in .* zero byte: no file has such a name"):
        folder(tmp_path).read("a\0b")


def test_file_beyond_the_limit_of_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(bytes(2**20))
    monkeypatch.setattr(memory, "MAX_FILE_MEMORY", 2**21)
    assert len(folder(tmp_path).read("a", expansion=2)) == 2**20
    with pytest.raises(InputError, match=r"a in .* would need"):
        folder(tmp_path).read("a", expansion=3)
    monkeypatch.setattr(memory, "free_host_memory", lambda: 2**20 - 1)
    with pytest.raises(AccessError, match="are free"):
        folder(tmp_path).read("a")


def test_uri_of_a_file_is_split(tmp_path: Path) -> None:
    target, name = split_uri(f"{tmp_path}/a.png")
    assert (target.path, name) == (str(tmp_path), "a.png")
    assert split_uri("a.png")[1] == "a.png"
    with pytest.raises(InputError, match="An empty location"):
        split_uri("")
    with pytest.raises(InputError, match="is a folder: expected a file"):
        split_uri(f"{tmp_path}/")


def test_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_local(tmp_path / "a", b"old")

    def fail(source: object, target: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_local(tmp_path / "a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@needs_small_disk
def test_write_to_a_small_disk_is_one_error_with_its_space(tmp_path: Path) -> None:
    write = f"from hhmnet_core.files import folder; folder({str(tmp_path)!r}).write('a', bytes(%d))"
    ended = run_on_small_disk(
        tmp_path, "100k",
        f"""{sys.executable} -c "{write % 40_000}" && {sys.executable} -c "{write % 500_000}"
        ls -A {tmp_path}; wc -c < {tmp_path}/a""",
    )  # fmt: skip
    assert f"mounted at {tmp_path}, has 0.1 MB free; free some" in ended.stderr
    assert ended.stdout.split() == ["a", "40000"]  # the old content, and nothing beside it


@pytest.mark.parametrize(
    "uri", ["{tmp}/made", pytest.param("memory://test-patterns", marks=pytest.mark.locked)]
)
def test_removal_takes_no_name_for_a_pattern(tmp_path: Path, uri: str) -> None:
    target = folder(uri.format(tmp=tmp_path))
    for name in ("a*", "ab"):
        target.write(name, b"file")
        folder(f"{target.uri}/runs/{name}").write("part", b"1")
    target.remove("a*")
    folder(f"{target.uri}/runs").remove_folder("a*")
    assert target.names() == ["ab", "runs"]
    assert folder(f"{target.uri}/runs").names() == ["ab"]


def test_uri_for_messages_lacks_the_password_that_connects() -> None:
    target = folder("memory://me:secret@host/d")
    assert target.uri == "memory://host/d" and target.path == "/me:secret@host/d"


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipes_and_devices_are_no_files(kind: str, tmp_path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "file")
    else:
        (tmp_path / "file").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="is a pipe or a device"):
        folder(tmp_path).read("file")


@pytest.mark.parametrize("protocol", ["s3", "gs"])
def test_a_password_in_the_address_of_a_bucket_is_refused_and_not_shown(protocol: str) -> None:
    with pytest.raises(InputError, match="holds a user or a password") as caught:
        folder(f"{protocol}://user:secret@bucket/x")
    assert "secret" not in str(caught.value)
