"""How scripts end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from hhmnet_core.errors import InputError
from hhmnet_platform.cli import parse_args, parse_config, run_script


@dataclass
class Part:
    """A part.

    Attributes:
        width: Of it.
    """

    width: int = 3


@dataclass
class Config:
    """A config.

    Attributes:
        seed: Of all.
        part: Of it.
    """

    seed: int = 1
    part: Part = field(default_factory=Part)


def raises(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "code", "said"),
    [
        (lambda: None, 0, ""),
        (raises(InputError("Two\nlines.")), 2, "error: Two lines.\n"),
        (raises(KeyboardInterrupt()), 130, "interrupted.\n"),
        (raises(SystemExit(3)), 3, ""),
    ],
)
def test_script_ends_with_one_line_and_a_code(
    main: Callable[[], None], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_script(main)
    assert caught.value.code == code
    assert capsys.readouterr().err == said


def test_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run_script(raises(ZeroDivisionError()))


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
    ("argv", "said"),
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
    parser: ArgumentParser, argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError) as caught:
        parse_args(parser, argv)
    message = " ".join(str(caught.value).splitlines())
    assert message == str(caught.value)
    assert said in message
    assert message.endswith("See `made.py --help`.")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "said"), [("part: {wdth: 1}", "wdth"), ("extra: 1", "extra"), ("a: [", "config")]
)
def test_bad_config_file_is_one_line(
    parser: ArgumentParser, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "made.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        parse_args(parser, ["--config", str(tmp_path / "made.yaml")])


def test_config_file_that_is_not_text_is_told(parser: ArgumentParser, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(InputError, match="The config file is not text"):
        parse_args(parser, [f"--config={config}"])


def test_file_that_is_no_config_is_not_shown_whole(parser: ArgumentParser, tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("sample_id,label\n" + "clip,wave\n" * 1000)
    with pytest.raises(InputError, match="Unexpected config: sample_id,label clip") as caught:
        parse_args(parser, [f"--config={table}"])
    assert len(str(caught.value)) < 600


def test_beginning_of_an_option_is_not_the_option(parser: ArgumentParser) -> None:
    with pytest.raises(InputError, match=r"--part\.widt"):
        parse_args(parser, ["--part.widt=4"])


@dataclass
class Counted:
    """A range.

    Attributes:
        workers: A number or a range.
        hexadecimal: A number.
    """

    workers: int | str | None = None
    hexadecimal: int = 0


@pytest.mark.parametrize(
    ("said", "meant"), [("2:8", "2:8"), ("10:64", "10:64"), ("16", 16), ("null", None)]
)
def test_a_range_is_no_number_to_base_60(said: str, meant: object, tmp_path: Path) -> None:
    assert parse_config("some.py", "", Counted, [f"--workers={said}"]).workers == meant
    config = tmp_path / "config.yaml"
    config.write_text(f"workers: {said}\nhexadecimal: 0x10\n")
    found = parse_config("some.py", "", Counted, [f"--config={config}"])
    assert (found.workers, found.hexadecimal) == (meant, 16)
