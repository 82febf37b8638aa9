"""Files of a record a line: what is whole counts, whatever has become of the last record."""

import json
import sys
from pathlib import Path

import pytest
from small_disk import needs_small_disk, run_on_small_disk

from hhmnet_core.errors import InputError
from hhmnet_core.files import split_uri
from hhmnet_platform.storage.line_files import append_line, check_appendable, read_lines

START = b'{"at": '
RECORDS = [{"at": number, "name": "é\U0001f600"} for number in range(3)]
LINES = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in RECORDS]


def check(path: Path, content: bytes, known: int, notices: int) -> None:
    path.write_bytes(content)
    notes: list[str] = []
    assert read_lines(path, START, notify=notes.append) == RECORDS[:known]
    assert len(notes) == notices, notes
    assert path.read_bytes() == b"".join(LINES[:known])
    assert read_lines(path, START, notify=pytest.fail) == RECORDS[:known]


def test_no_file_has_no_records(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "none", START) == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("whole", [0, 2])
@pytest.mark.parametrize("tail", [b"", b"\0", b"\0" * 4096, b"\0\n"])
def test_record_cut_at_any_byte_is_left_out(whole: int, tail: bytes, tmp_path: Path) -> None:
    before, last = b"".join(LINES[:whole]), LINES[whole]
    for length in range(1, len(last) - 1):
        check(tmp_path / "file", before + last[:length] + tail, whole, 1)
    check(tmp_path / "file", before + tail, whole, int(bool(tail)))
    check(tmp_path / "file", before + last + tail, whole + 1, int(bool(tail)))


@pytest.mark.parametrize("tail", [b"\xff\xfe\x80", b"x\ny\nz", b"[" * 100_000, b"7\n"])
def test_garbage_after_whole_records_is_left_out(tail: bytes, tmp_path: Path) -> None:
    check(tmp_path / "file", b"".join(LINES[:2]) + tail, 2, 1)


def test_whole_record_without_an_end_of_line_is_kept(tmp_path: Path) -> None:
    check(tmp_path / "file", b"".join(LINES).removesuffix(b"\n"), 3, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"sample_id,label\na,wave\n",  # another file
        b'{\n  "at": 1\n}\n',
        LINES[0][:9] + LINES[1] + LINES[2],  # damaged before the end
        LINES[0] + b"\0\0\n" + LINES[2],
    ],
)
def test_other_files_are_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"of {path} cannot be read, and it is not a last line"):
        read_lines(path, START)
    assert path.read_bytes() == content


def test_records_that_may_follow_are_dropped_with_the_damaged_one(tmp_path: Path) -> None:
    path, notes = tmp_path / "file", list[str]()
    path.write_bytes(LINES[0] + LINES[1][:9] + LINES[0] + LINES[0])
    found = read_lines(path, START, lambda record: record["at"] == 0, notes.append)
    assert found == RECORDS[:1] and len(notes) == 1


def test_records_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "file"
    check_appendable(path)
    assert path.read_bytes() == b""
    for record in RECORDS:
        append_line(path, record)
    check_appendable(path)
    assert read_lines(path, START, notify=pytest.fail) == RECORDS


@needs_small_disk
def test_full_disk_is_found_before_and_leaves_no_cut_record(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from hhmnet_platform.storage.line_files import *
path = Path({str(tmp_path / "file")!r})
check_appendable(path)
append_line(path, {{"at": 1}})
for action in (lambda: append_line(path, {{"at": "x" * 200_000}}), lambda: check_appendable(path)):
    try:
        action()
    except Exception as error:
        print(type(error).__name__, error)
    print(path.read_text() == '{{"at": 1}}' + chr(10))
    path.with_name("filler").write_bytes(bytes(4096 * 24 - 4096)) if action else None
"""
    (tmp_path.parent / "code.py").write_text(code)
    ended = run_on_small_disk(tmp_path, "96k", f"{sys.executable} {tmp_path.parent}/code.py")
    first, kept, second, still_kept = ended.stdout.splitlines()
    for line in (first, second):
        assert line.startswith(
            f"AccessError Cannot write {tmp_path}/file (No space left on device)"
        )
        assert f"mounted at {tmp_path}, has " in line and "MB free" in line
    assert kept == still_kept == "True"


def test_file_in_a_bucket_is_written_anew_with_each_record() -> None:
    uri = "memory://lines/file.jsonl"
    check_appendable(uri)
    assert read_lines(uri, START) == []
    for record in RECORDS:
        append_line(uri, record)
    assert read_lines(uri, START, notify=pytest.fail) == RECORDS
    folder, name = split_uri(uri)
    folder.write(name, b"".join(LINES[:2]) + LINES[2][:9])
    assert read_lines(uri, START, notify=lambda _: None) == RECORDS[:2]
    assert folder.read(name) == b"".join(LINES[:2])
    folder.write(name, b"sample_id,label\na,wave\n")
    with pytest.raises(InputError, match=r"Line 1 of memory://lines/file\.jsonl cannot be read"):
        read_lines(uri, START)
