"""Command lines of the scripts: parsing and error messages."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from hhmnet_core.errors import InputError
from hhmnet_platform.scripts.cli import parse_args, parse_config


@dataclass
class Part:
    """A part.

    Attributes:
        width: Width of the part.
    """

    width: int = 3


@dataclass
class Config:
    """A config.

    Attributes:
        seed: Random seed.
        part: Part with a width.
    """

    seed: int = 1
    part: Part = field(default_factory=Part)


@pytest.fixture
def parser() -> ArgumentParser:
    parser = ArgumentParser(prog="made.py")
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Config)
    return parser


def test_good_arguments_are_parsed(parser: ArgumentParser) -> None:
    values = parse_args(parser, ["--seed", "4", "--part.width", "7"])
    assert (values.seed, values.part.width) == (4, 7)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--sed", "1"], "--sed"),
        (["--part.wdth", "1"], "--part.wdth"),
        (["--part.width", "wide"], "part.width"),
        (["--seed"], "--seed"),
        (["more"], "more"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_bad_argument_is_one_line_that_names_it(
    parser: ArgumentParser, argv: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        parse_args(parser, argv)
    message = " ".join(str(caught.value).splitlines())
    assert message == str(caught.value)
    assert expected in message
    assert message.endswith("See `made.py --help`.")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "expected"), [("part: {wdth: 1}", "wdth"), ("extra: 1", "extra"), ("a: [", "config")]
)
def test_bad_config_file_is_one_line(
    parser: ArgumentParser, tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "made.yaml").write_text(text)
    with pytest.raises(InputError, match=expected):
        parse_args(parser, ["--config", str(tmp_path / "made.yaml")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("part: null", "^part in the config file is 'None', expected options such as width"),
        ("part: 5", "^part in the config file is '5'"),
        ("seed: 1\nseed: 2", r"the key 'seed' is given twice \(line 2\)"),
        ("part: {width: 1, width: 2}", "the key 'width' is given twice"),
        ("seed: &a [*a]", "a refers to itself"),
        ("seed: " + "[" * 5000 + "]" * 5000, "nested more than 64 deep"),
        (f"seed: {'1' * 5000}", "4300 digits"),
        ("seed: !!int abc", "invalid literal"),
        ("#" * 1_000_001, "has 1000001 bytes, expected at most 1000000"),
    ],
)
def test_config_file_that_nobody_means_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "made.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        parse_config("made.py", "", Config, ["--config", str(tmp_path / "made.yaml")])
    assert len(str(caught.value)) < 1100


@pytest.mark.parametrize("argv", [["--seed", ""], ["--part.width="], ["--seed=1", "--config", ""]])
def test_an_empty_value_is_not_the_default(parser: ArgumentParser, argv: list[str]) -> None:
    with pytest.raises(InputError, match="has an empty value: give one, or leave the option out"):
        parse_args(parser, argv)


def test_config_file_that_is_not_text_is_an_error(parser: ArgumentParser, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(InputError, match="The config file is not text"):
        parse_args(parser, [f"--config={config}"])


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
    file = tmp_path / "secret"
    file.write_text(text)
    with pytest.raises(InputError, match="secret holds no options: expected YAML lines") as caught:
        parse_config("made.py", "", Config, ["--config", str(file)])
    message = str(caught.value).replace(str(file), "")
    assert not any(word in message for word in ("root", "daemon", "12"))


def test_yaml_that_is_broken_is_not_quoted(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    for text in ("user: x\npassword of root: : [\n", "{root: [", "root: 'x\n", "root:\tx: y\n  z"):
        file.write_text(text)
        with pytest.raises(InputError, match="config") as caught:
            parse_config("made.py", "", Config, ["--config", str(file)])
        assert "root" not in str(caught.value).replace(str(file), "")


def test_abbreviated_option_is_an_error(parser: ArgumentParser) -> None:
    with pytest.raises(InputError, match=r"--part\.widt"):
        parse_args(parser, ["--part.widt=4"])


@dataclass
class Counted:
    """A number, and a number or a range.

    Attributes:
        workers: Number or range.
        hexadecimal: Number.
    """

    workers: int | str | None = None
    hexadecimal: int = 0


@pytest.mark.parametrize(
    ("text", "value"), [("2:8", "2:8"), ("10:64", "10:64"), ("16", 16), ("null", None)]
)
def test_a_range_is_not_read_as_a_number(text: str, value: object, tmp_path: Path) -> None:
    assert parse_config("some.py", "", Counted, [f"--workers={text}"]).workers == value
    config = tmp_path / "config.yaml"
    config.write_text(f"workers: {text}\nhexadecimal: 0x10\n")
    parsed = parse_config("some.py", "", Counted, [f"--config={config}"])
    assert (parsed.workers, parsed.hexadecimal) == (value, 16)


def test_config_is_read_from_a_file_and_changed_by_options(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("seed: 4\npart: {width: 7}\n")
    config = parse_config("some.py", "", Config, [f"--config={file}", "--seed=5"])
    assert config == Config(seed=5, part=Part(width=7))


def test_help_starts_with_the_description_and_has_the_attribute_texts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config("some.py", "Do something.", Config, ["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "usage: some.py" in text and "\nDo something.\n" in text
    assert "Random seed. (type: int, default: 1)" in text


@dataclass
class Tracked:
    """A config.

    Attributes:
        tracking_uri: MLflow tracking URI.
    """

    tracking_uri: str = "http://a-user-of-mlflow:secret-that-is-too-long-for-a-line@host:5000"


@pytest.mark.parametrize("option", ["--help", "--print_config"])
def test_password_of_a_default_is_not_printed(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_config("some.py", "", Tracked, [option])
    printed = capsys.readouterr().out
    assert "http://host:5000" in printed and "secret" not in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"config: other.yaml\n", "has the key config: a config file cannot name another"),
        (b"seed: \xff\n", r"config.yaml is not text .*: give a YAML file"),
        (None, r"Cannot read .*x+.* \(File name too long\)"),
    ],
)
def test_config_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "config.yaml"
    if content is None:
        file = tmp_path / ("x" * 5000)
    else:
        file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        parse_config("some.py", "", Tracked, ["--config", str(file)])
