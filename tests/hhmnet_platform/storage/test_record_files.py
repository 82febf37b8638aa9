"""Files that hold one dataclass: read as they were written, or refused by name."""

from dataclasses import dataclass

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.storage.record_files import format_record, parse_record


@dataclass
class Record:
    seed: int
    sizes: tuple[float, ...] = ()


def test_record_is_read_as_it_was_written() -> None:
    record = Record(1, (0.5,))
    content = format_record(record)
    assert content == b'{\n  "seed": 1,\n  "sizes": [\n    0.5\n  ]\n}\n'
    assert parse_record(Record, content, "here", "the command again") == record


def test_names_of_the_file_may_differ() -> None:
    content = format_record({"start": 3})
    adapted = parse_record(Record, content, "here", "it", lambda values: {"seed": values["start"]})
    assert adapted == Record(3)


@pytest.mark.parametrize("content", [b"{", b"[]", b"null", b"{}", b'{"seed": "1"}', b"\xff"])
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(
        InputError, match=r"^here cannot be read \(.*\): delete that file, and give it\.$"
    ):
        parse_record(Record, content, "here", "it")
