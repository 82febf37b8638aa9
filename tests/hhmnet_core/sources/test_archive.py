"""Raw files in folders, zips and folders of zips, local and on S3."""

import pickle
import re
import shutil
import zipfile
from pathlib import Path

import fsspec
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.sources.archive import Archive, FileKind

KIND = FileKind(re.compile(r"(?:.*/)?f(\d+)\.txt"), "made files", "f1.txt")
FILES = {f"deep/f{number}.txt": f"content {number}".encode() * 50 for number in range(5)}


def archive(location: str | Path) -> Archive:
    return Archive(str(location), KIND)


def make_folder(path: Path) -> Path:
    for name, content in {**FILES, "deep/other.md": b"no"}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def make_zip(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in {**FILES, "deep/other.md": b"no"}.items():
            packed.writestr(name, content)
    return path


def contents(opened: Archive) -> dict[str, bytes]:
    return {name: opened.read(name) for name in opened.names}


def test_folder_and_zip_hold_the_same_files(tmp_path: Path) -> None:
    unpacked, packed = archive(make_folder(tmp_path / "a")), archive(make_zip(tmp_path / "b.zip"))
    renamed = archive((tmp_path / "b.zip").rename(tmp_path / "download"))
    assert contents(unpacked) == contents(renamed) == FILES
    packed = archive((tmp_path / "download").rename(tmp_path / "b.zip"))
    assert contents(packed) == FILES
    assert unpacked.sizes["deep/f2.txt"] == str(len(FILES["deep/f2.txt"]))
    assert (unpacked.is_zip, packed.is_zip) == (False, True)


def test_files_in_zips_of_a_folder_are_named_behind_the_zip(tmp_path: Path) -> None:
    make_zip(tmp_path / "x" / "one.zip")
    (tmp_path / "x" / "f9.txt").write_bytes(b"beside")
    assert contents(archive(tmp_path / "x")) == {
        "f9.txt": b"beside",
        **{f"one.zip/{n}": c for n, c in FILES.items()},
    }
    assert archive(tmp_path / "x").fingerprint() != archive(tmp_path / "x/one.zip").fingerprint()


def test_pickled_archive_opens_its_zips_again(tmp_path: Path) -> None:
    opened = archive(make_zip(tmp_path / "b.zip"))
    opened.read(opened.names[0])
    assert contents(pickle.loads(pickle.dumps(opened))) == FILES
    opened.close()
    assert contents(opened) == FILES


def test_fingerprints_follow_the_content(tmp_path: Path) -> None:
    one, two = make_folder(tmp_path / "a"), make_folder(tmp_path / "b")
    assert archive(one).fingerprint() == archive(two).fingerprint()
    assert archive(one).quick_fingerprint() == archive(two).quick_fingerprint()
    (two / "deep/f3.txt").write_bytes(FILES["deep/f3.txt"][::-1])
    assert archive(one).fingerprint() != archive(two).fingerprint()
    (two / "deep/f3.txt").write_bytes(b"shorter")
    assert archive(one).quick_fingerprint() != archive(two).quick_fingerprint()


def test_zip_changed_in_one_byte_has_another_quick_fingerprint(tmp_path: Path) -> None:
    before = archive(make_zip(tmp_path / "b.zip")).quick_fingerprint()
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as packed:
        for name, content in FILES.items():
            packed.writestr(name, content[:-1] + b"!" if "f2" in name else content)
    assert archive(tmp_path / "b.zip").quick_fingerprint() != before


def test_s3_is_read_as_a_folder_is(s3_bucket: str, tmp_path: Path) -> None:
    s3 = fsspec.filesystem("s3")
    for name, content in FILES.items():
        s3.pipe_file(f"{s3_bucket}/files/{name}", content)
    s3.put_file(str(make_zip(tmp_path / "b.zip")), f"{s3_bucket}/zips/b.zip")
    unpacked, packed = archive(f"{s3_bucket}/files"), archive(f"{s3_bucket}/zips/b.zip")
    assert contents(unpacked) == contents(pickle.loads(pickle.dumps(packed))) == FILES
    assert unpacked.fingerprint() == archive(make_folder(tmp_path / "a")).fingerprint()
    assert packed.fingerprint() == archive(tmp_path / "b.zip").fingerprint()
    with pytest.raises(InputError, match="nothing at s3://bucket/nowhere"):
        archive(f"{s3_bucket}/nowhere")


def test_damage_is_named(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x" / "b.zip")
    whole = path.read_bytes()
    at = whole.index(b"deep/f1.txt") + len("deep/f1.txt") + 2
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    for location, name in ((path, "deep/f1.txt"), (path.parent, "b.zip/deep/f1.txt")):
        opened = archive(location)
        with pytest.raises(InputError, match=rf"^{name} in {location} cannot be read .*again"):
            opened.read(name)
    path.write_bytes(whole[:-10])
    for location in (path, path.parent):
        with pytest.raises(InputError, match=r"b\.zip is not a whole zip file"):
            archive(location)


def test_locations_without_such_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing at .*: expected made files"):
        archive(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no made files: expected files like f1\.txt"):
        archive(tmp_path)
    (tmp_path / "f1.txt").write_text("not a zip")
    with pytest.raises(InputError, match=r"f1\.txt is not a whole zip file"):
        archive(tmp_path / "f1.txt")


def test_file_that_is_gone_is_named(tmp_path: Path) -> None:
    opened = archive(make_folder(tmp_path))
    (tmp_path / "deep/f2.txt").unlink()
    with pytest.raises(InputError, match=r"deep/f2\.txt in .* cannot be read"):
        opened.read("deep/f2.txt")


def test_groups_of_the_pattern_are_found_in_a_path() -> None:
    assert KIND.groups("deep/f17.txt") == ("17",)


def test_files_that_systems_leave_are_passed_over(tmp_path: Path) -> None:
    kind = FileKind(re.compile(r"(?:.*/)?(\w|\._\w)\.txt"), "texts", "a.txt")
    left = ("__MACOSX/a.txt", "__MACOSX/deep/._a.txt", "sub/._a.txt", "Thumbs.db", ".DS_Store")
    for junk in left:
        path = tmp_path / "files" / junk
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("junk")
    (tmp_path / "files" / "sub" / "b.txt").write_text("b")
    assert Archive(str(tmp_path / "files"), kind).names == ["sub/b.txt"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for path in sorted((tmp_path / "files").rglob("*")):
            packed.write(path, path.relative_to(tmp_path / "files"))
    assert Archive(str(tmp_path / "a.zip"), kind).names == ["sub/b.txt"]
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._a.zip").write_text("no zip")
    shutil.rmtree(tmp_path / "files")
    assert Archive(str(tmp_path), kind).names == ["a.zip/sub/b.txt"]
