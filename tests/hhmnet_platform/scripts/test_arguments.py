"""Words of a command line as the parser reads them; `test_cli.py` has what becomes of them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.scripts.arguments import read_arguments
from hhmnet_platform.scripts.options import options_of


@dataclass
class Part:
    """A part."""

    batch_size: int = 3


@dataclass
class Config:
    """A config."""

    dry_run: bool = False
    runs: list[str] = field(default_factory=list)
    variants: list[dict[str, Any]] | None = None
    space: dict[str, Any] = field(default_factory=dict)
    part: Part = field(default_factory=Part)


def words(*argv: str) -> list[str]:
    return read_arguments(argv, options_of(Config), "made").words


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--dry-run"], ["--dry_run=true"]),
        (["--dry-run", "no"], ["--dry_run=no"]),
        (["--part.batch-size", "-1"], ["--part.batch_size=-1"]),
        (["--runs", "a-b", "c", "--dry-run"], ['--runs=["a-b", "c"]', "--dry_run=true"]),
        (["--runs=a"], ['--runs=["a"]']),
        (["--variants", "{a: 1}", "{b-c: x}"], ['--variants=[{"a": 1}, {"b-c": "x"}]']),
        (["--variants", "null"], ["--variants=null"]),
        (["--space.a-b=1"], ["--space.a-b=1"]),
    ],
)
def test_words_are_normalised(argv: list[str], expected: list[str]) -> None:
    assert words(*argv) == expected


@pytest.mark.parametrize("value", ["", "=skip_default"])
def test_words_that_print_are_kept_apart(value: str) -> None:
    given = read_arguments([f"--print-config{value}", "--dry-run"], options_of(Config), "made")
    assert given.print_words == [f"--print_config{value}"] and given.words == ["--dry_run=true"]


def test_values_and_their_files_are_kept_the_last_wins(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("dry_run: true\npart: {batch_size: 2}\n")
    argv = [f"--config={file}", "--part", "{batch_size: 4}", "--runs", "a"]
    given = read_arguments(argv, options_of(Config), "made")
    assert given.values == {"dry_run": True, "part.batch_size": 4, "runs": '["a"]'}
    assert given.files == {"dry_run": str(file), "part.batch_size": "", "runs": ""}


def test_a_pipe_is_left_to_the_parser() -> None:
    import os

    read, write = os.pipe()
    try:
        assert words(f"--config=/dev/fd/{read}") == [f"--config=/dev/fd/{read}"]
    finally:
        os.close(read)
        os.close(write)


def test_help_is_no_option_here() -> None:
    with pytest.raises(InputError, match="no option --help"):
        words("--help")
