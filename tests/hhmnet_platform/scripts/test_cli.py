"""Command lines: from words and config files to a dataclass, and the errors on the way."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.scripts import cli
from hhmnet_platform.scripts.cli import parse_call, parse_config


@dataclass
class Part:
    """A part.

    Attributes:
        width: Width of the part.
        rate: Rate of change.
        branches: Kernels and dilations.
    """

    width: int = 3
    rate: float = 0.5
    branches: list[tuple[int, int]] = field(default_factory=lambda: [(3, 1)])


@dataclass
class Config:
    """A config.

    Attributes:
        seed: Random seed.
        dry_run: Print the plan.
        workers: Number or range.
        runs: Names of runs.
        sizes: Whole numbers.
        kind: Kind of thing.
        kinds: Kinds of things.
        space: Fields to search.
        part: Part with a width.
    """

    seed: int = 1
    dry_run: bool = False
    workers: int | str | None = None
    runs: list[str] = field(default_factory=list)
    sizes: list[int] | None = None
    kind: Literal["read", "clip"] = "read"
    kinds: list[Literal["read", "clip"]] = field(default_factory=list)
    space: dict[str, Any] = field(default_factory=dict)
    part: Part = field(default_factory=Part)


def parse(*argv: str) -> Config:
    return parse_config("made", Config, argv)


def file_of(folder: Path, text: str) -> str:
    (folder / "made.yaml").write_text(text)
    return f"--config={folder / 'made.yaml'}"


def error_of(*argv: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(*argv)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    # Words of Python and of the parser say nothing to a user.
    assert not re.search(
        r"<class|typing\.|Union|NoneType|Parser key|Got value|unrecognized", message
    )
    return message


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--seed", "4", "--part.width=7"], Config(seed=4, part=Part(width=7))),
        (["--dry-run"], Config(dry_run=True)),
        (["--dry_run", "--seed", "2"], Config(dry_run=True, seed=2)),
        (["--dry-run", "false"], Config()),
        (["--dry_run=true"], Config(dry_run=True)),
        (["--runs", "a", "b"], Config(runs=["a", "b"])),
        (["--runs", "a", "b", "--seed=2"], Config(runs=["a", "b"], seed=2)),
        (["--runs", "a"], Config(runs=["a"])),
        (["--runs", "1", "2:8"], Config(runs=["1", "2:8"])),
        (["--runs=[a,b]"], Config(runs=["a", "b"])),
        (["--runs", "[a, b]"], Config(runs=["a", "b"])),
        (["--sizes", "16", "32"], Config(sizes=[16, 32])),
        (["--sizes", "16"], Config(sizes=[16])),
        (["--sizes", "null"], Config()),
        (["--sizes=[16,32]"], Config(sizes=[16, 32])),
        (["--part.branches", "[5,1]", "[7,2]"], Config(part=Part(branches=[(5, 1), (7, 2)]))),
        (["--part.branches", "[5,1]"], Config(part=Part(branches=[(5, 1)]))),
        (["--part.branches=[[5,1],[7,2]]"], Config(part=Part(branches=[(5, 1), (7, 2)]))),
        (["--seed", "-4"], Config(seed=-4)),
        (["--part.rate", "1e-3"], Config(part=Part(rate=0.001))),
        (["--part", "{width: 4}"], Config(part=Part(width=4))),
        (["--space", "{a.b: {low: 1, high: 2}}"], Config(space={"a.b": {"low": 1, "high": 2}})),
        (["--kind", "clip"], Config(kind="clip")),
        (["--kinds", "clip", "read"], Config(kinds=["clip", "read"])),
        (["--kinds=[]"], Config()),
    ],
)
def test_good_arguments_are_parsed(argv: list[str], expected: Config) -> None:
    assert parse(*argv) == expected


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--sed", "1"], "There is no option --sed: did you mean --seed? See `made --help`."),
        (["--width=1"], "no option --width: did you mean --part.width?"),
        (["--part.wdth", "1"], "no option --part.wdth: did you mean --part.width?"),
        (["--part.widt=4"], "no option --part.widt: did you mean --part.width?"),
        (["--dry-rum"], "no option --dry-rum: did you mean --dry_run?"),
        (["-seed=1"], "no option -seed: did you mean --seed?"),
        (["--seed.x=1"], "no option --seed.x: did you mean --seed?"),
        (["--seed+=1"], "no option --seed+: did you mean --seed?"),
        (["--zzz", "1"], "There is no option --zzz. See `made --help`."),
        (["more"], "There is no place for 'more': expected options such as --name VALUE"),
        (["--dry-run=true", "more"], "no place for 'more'"),
        (["--seed", "1", "2"], "--seed takes one value, but 1 and 2 follow it"),
        (["--dry-run", "true", "2"], "--dry_run takes one value, but true and 2 follow it"),
        (["--part", "{width: 1}", "2"], "--part takes one value"),
        (["--seed"], "--seed has no value: expected a whole number."),
        (["--seed", "--dry-run"], "--seed has no value"),
        (["--runs"], "--runs has no value: expected a list of texts."),
        (["--kinds", "leg"], "--kinds is 'leg', expected a list of read or clip, such as --kinds"),
        (["--runs", "-x"], "--runs has no value: -x begins with a dash, as options do. If it is "),
        (["--kind", "-x", "--seed=1"], "If it is the value, write --kind=-x."),
        (["--sizes+", "16"], "--sizes+ would append to a list, which no option does: give all"),
        (["--sizes+=16"], "give all its values, such as --sizes 16 32."),
        (["--part.branches+", "[3,1]"], "such as --part.branches '[3,1]' '[5,1]'."),
        (["--runs", "a", "--runs", "b", "c"], "twice, as a and as b c: give all its"),
        (["--config"], "--config has no value: give one."),
        (["--seed", "x"], "--seed is 'x', expected a whole number."),
        (["--seed", "1.5"], "--seed is '1.5', expected a whole number."),
        (["--part.width", "wide"], "--part.width is 'wide', expected a whole number."),
        (["--part.rate=null"], "--part.rate is 'null', expected a number."),
        (["--dry-run", "maybe"], "--dry_run is 'maybe', expected true or false."),
        (["--sizes", "a", "1"], "--sizes is 'a 1', expected a list of whole numbers or null, such"),
        (["--part.branches", "3", "1"], "--part.branches is '3 1', expected a list of pairs, such"),
        (["--part.branches=[3]"], "--part.branches is '[3]', expected a list of pairs, such as --"),
        (["--kind", "else"], "--kind is 'else', expected read or clip."),
        (["--space", "x"], "--space is 'x', expected a mapping such as {name: value}."),
        (["--part", "x"], "--part cannot be read as options: give them one by one, such as --"),
        (["--part", "{wdth: 1}"], "Unknown key part.wdth in --part: did you mean part.width?"),
        (["--config", "nowhere.yaml"], "There is no config file nowhere.yaml, and no recipe"),
        (["--config", "."], ". is a folder: give a YAML file in it."),
    ],
)  # fmt: skip
def test_bad_argument_is_one_line_with_what_was_expected(argv: list[str], message: str) -> None:
    assert message in error_of(*argv)


@pytest.mark.parametrize(
    ("argv", "expected", "values"),
    [
        (["--seed=1", "--seed", "2"], Config(seed=2), "--seed is given twice, as 1 and as 2"),
        (
            ["--dry-run=false", "--dry_run"],
            Config(dry_run=True),
            "--dry_run is given twice, as false and as true",
        ),
        (
            ["--part", "{width: 4}", "--part.width=5"],
            Config(part=Part(width=5)),
            "--part.width is given twice, as 4 and as 5",
        ),
        (["--seed=2", "--seed=2"], Config(seed=2), ""),
    ],
)
def test_the_second_value_of_an_option_counts_and_both_are_told(
    argv: list[str], expected: Config, values: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse(*argv) == expected
    told = f"note: {values}: the second one counts.\n" if values else ""
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize(
    "argv", [["--seed", ""], ["--part.width="], ["--seed=1", "--config", ""], ["--dry-run", " "]]
)
def test_an_empty_value_is_not_the_default(argv: list[str]) -> None:
    assert "has an empty value: give one, or leave the option out" in error_of(*argv)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("part: {wdth: 1}", "Unknown key part.wdth in .*made.yaml: did you mean part.width?"),
        ("width: 1", "Unknown key width .*: did you mean part.width?"),
        ("dry-run: true", "Unknown key dry-run .*: did you mean dry_run?"),
        ("extra: 1", r"Unknown key extra in the config file .*made.yaml\. See `made --help`"),
        ("extra: 1\npart: {more: 2}", r"made.yaml: extra, part.more; is it for another command\?"),
        ("width: 1\ndry-run: true", "Unknown key width .*: did you mean part.width?"),
        ("1: 2", "Unknown key 1 "),
        ("a: [", "The config file .*made.yaml is not YAML"),
        ("seed: x", "^seed in the config file .*made.yaml is 'x', expected a whole number.$"),
        ("runs: a", "^runs in the config file .* is 'a', expected a list of texts, such as "),
        ("part: null", "^part in the config file .* is 'None', expected options such as width"),
        ("part: 5", "^part in the config file .* is '5'"),
        ("seed: 1\nseed: 2", r"the key 'seed' is given twice \(line 2\)"),
        ("part: {width: 1, width: 2}", "the key 'width' is given twice"),
        ("seed: &a [*a]", "a refers to itself"),
        ("seed: " + "[" * 5000 + "]" * 5000, "nested more than 64 deep"),
        (f"seed: {'1' * 5000}", "4300 digits"),
        ("seed: !!int abc", "invalid literal"),
        ("#" * 1_000_001, "has 1000001 bytes, expected at most 1000000"),
        ("config: other.yaml\n", "has the key config: a config file cannot name another"),
    ],
)  # fmt: skip
def test_config_file_that_nobody_means_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    found = error_of(file_of(tmp_path, text))
    assert re.search(message, found)
    assert len(found) < 1100


def test_config_file_that_is_not_text_or_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xff\xfe\x00binary")
    assert "config.yaml is not text" in error_of("--config", str(tmp_path / "config.yaml"))
    long = error_of("--config", str(tmp_path / ("x" * 5000)))
    assert "Cannot read " in long and "(File name too long)" in long


@pytest.mark.parametrize(
    "text",
    [
        "root:x:0:0:/root\ndaemon:x:1:1\n",
        "root",
        "[root, daemon]",
        "12",
        "- root: x\n",
        '"root: x"',
    ],
)
def test_file_that_holds_no_options_is_not_quoted(tmp_path: Path, text: str) -> None:
    message = error_of(file_of(tmp_path, text)).replace(str(tmp_path), "")
    assert "made.yaml holds no options: expected YAML lines" in message
    assert not any(word in message for word in ("root", "daemon", "12"))


@pytest.mark.parametrize(
    "text", ["user: x\npassword of root: : [\n", "{root: [", "root: 'x\n", "root:\tx: y\n  z"]
)
def test_yaml_that_is_broken_is_not_quoted(tmp_path: Path, text: str) -> None:
    message = error_of(file_of(tmp_path, text)).replace(str(tmp_path), "")
    assert "made.yaml is not YAML" in message and "root" not in message


@pytest.mark.parametrize(
    ("text", "value"), [("2:8", "2:8"), ("10:64", "10:64"), ("16", 16), ("null", None)]
)
def test_a_range_is_not_read_as_a_number(text: str, value: object, tmp_path: Path) -> None:
    assert parse("--workers", text).workers == value
    assert parse(file_of(tmp_path, f"workers: {text}\n")).workers == value


@pytest.mark.parametrize("number", ["1:30", "0x10", "0o7", "010", "1_000"])
def test_a_number_that_only_yaml_reads_is_refused(number: str, tmp_path: Path) -> None:
    digits = "in plain decimal digits"
    assert f"--seed is '{number}', expected a whole number, {digits}." in error_of("--seed", number)
    assert f"expected a number, {digits}" in error_of(f"--part.rate={number}")
    assert f"whole numbers or null, {digits}, such as" in error_of("--sizes", number, "2")
    assert f"expected a whole number, {digits}." in error_of(file_of(tmp_path, f"seed: {number}"))
    assert f"whole numbers or null, {digits}, " in error_of(
        file_of(tmp_path, f"sizes: [1, {number}]")
    )
    assert f"expected a number, {digits}" in error_of("--part", f"{{rate: {number}}}")


@pytest.mark.parametrize("text", ["010", "0x10", "1_000"])
def test_a_text_may_look_like_a_number_of_yaml(text: str, tmp_path: Path) -> None:
    assert parse("--workers", text).workers == text
    assert parse(file_of(tmp_path, f"workers: {text}\nruns: [{text}]\n")).runs == [text]
    in_mapping = 10 if text == "010" else text
    assert parse("--space", f"{{a: {text}}}").space == {"a": in_mapping}


def test_the_last_value_of_an_option_counts(tmp_path: Path) -> None:
    given = file_of(tmp_path, "seed: 4\nworkers: 2:8\npart: {width: 7}\n")
    assert parse(given, "--seed=5", "--workers=3") == Config(seed=5, workers=3, part=Part(width=7))
    assert parse("--seed=5", given).seed == 4


@dataclass
class Bounded:
    """A config.

    Attributes:
        rate: Rate, at least 0.
    """

    rate: float = 0.5

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise InputError(f"rate must be at least 0, but is {self.rate}.")


def test_values_that_cannot_work_are_printed_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config("made", Bounded, ["--print_config", "--rate=2"])
    assert (ended.value.code, capsys.readouterr().out) == (0, "rate: 2.0\n")
    with pytest.raises(InputError, match="rate must be at least 0, but is -1"):
        parse_config("made", Bounded, ["--rate=-1", "--print_config"])
    assert capsys.readouterr().out == "rate: -1.0\n"


def test_recipe_is_found_by_its_name() -> None:
    from hhmnet_platform.runs.config import Phase1Job

    config = parse_config("made", Phase1Job, ["--config", "nw_ucla_cpu", "--seed=3"])
    assert (config.data.protocol, config.seed) == ("12-3", 3)


def prepare(source: str, part: Part = Part(), overwrite: bool = False) -> tuple[str, int, bool]:  # noqa: B008
    """Prepare a thing.

    Args:
        source: Folder of files.
        part: Part of it.
        overwrite: Replace it.
    """
    return source, part.width, overwrite


def test_a_function_is_called_with_its_arguments() -> None:
    call = parse_call("made", prepare, ["--source", "a", "--part.width=4", "--overwrite"])
    assert call() == ("a", 4, True)
    with pytest.raises(
        InputError, match=r"^--source is missing: Folder of files\. See `made --help`"
    ):
        parse_call("made", prepare, [])
    with pytest.raises(InputError, match="no option --config"):
        parse_call("made", prepare, ["--source=a", "--config=x"])


def test_an_error_of_the_parser_without_an_option_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import argparse

    def fail(*_: object) -> None:
        raise argparse.ArgumentError(None, "Two\nlines.")

    monkeypatch.setattr(cli._Parser, "parse_args", fail)
    assert error_of() == "Two lines. See `made --help`."


@dataclass
class Tracked:
    """A config.

    Attributes:
        tracking_uri: MLflow tracking URI.
    """

    tracking_uri: str = "http://a-user-of-mlflow:secret-that-is-too-long-for-a-line@host:5000"


@pytest.mark.parametrize("option", ["--help", "--print_config", "--print-config"])
def test_password_of_a_default_is_not_printed(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config("made", Tracked, [option])
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert "http://host:5000" in printed and "secret" not in printed


def test_empty_tracking_uri_is_a_value() -> None:
    assert parse_config("made", Tracked, ["--tracking_uri="]).tracking_uri == ""
    assert parse_config("made", Tracked, ["--tracking-uri", ""]).tracking_uri == ""
