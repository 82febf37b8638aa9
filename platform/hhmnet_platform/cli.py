"""Command lines of the scripts in `experiments/`: parsing, error messages and exit codes.

Exit codes: 0 for success, 2 for input that cannot be used, 130 after Ctrl-C or SIGTERM. Any other
exception is a bug: Python prints its traceback and exits with 1.
"""

import argparse
import ctypes
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace
from jsonargparse._loaders_dumpers import get_yaml_default_loader

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import masked, one_line, without_password

Config = TypeVar("Config", bound=Any)

EXIT_INPUT = 2
EXIT_INTERRUPTED = 130
MAX_PARSER_MESSAGE = 500  # characters; a file that is no config would be quoted as a whole


class _HelpFormatter(DefaultHelpFormatter):
    """Shows no password of a default, such as one from the environment."""

    def _expand_help(self, action: argparse.Action) -> str:
        return without_password(str(super()._expand_help(action)))


class _Parser(ArgumentParser):
    """Prints no password with --print_config."""

    def dump(self, *arguments: Any, **settings: Any) -> str:
        return without_password(super().dump(*arguments, **settings))


def run_script(main: Callable[[], None]) -> NoReturn:
    """Run `main` and exit the process, with one line on stderr for an error that users can mend.

    SIGTERM, which `ray job stop` and schedulers send, interrupts as Ctrl-C does.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if any(masked(argument) != argument for argument in sys.argv[1:]):
        cover_passwords()
        print(
            "note: other users of this machine can see a password on the command line, if only "
            "until a script has started: give it in the environment, such as MLFLOW_TRACKING_URI.",
            file=sys.stderr,
        )
    try:
        main()
    except InputError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        sys.exit(EXIT_INPUT)
    except KeyboardInterrupt:
        print("interrupted.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0)


def cover_passwords() -> None:
    """Cover passwords in the arguments that the system shows for this process, as in `ps`.

    Linux shows the process's own memory. Elsewhere nothing is changed. `sys.argv` stays as it is.
    """
    with suppress(OSError, ValueError, IndexError):
        # Fields 48 and 49 of proc(5); the second one, the program's name, may hold blanks.
        numbers = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(numbers[45]), int(numbers[46])
        shown = Path("/proc/self/cmdline").read_bytes()
        if start and len(shown) == end - start:  # 0 where the system keeps addresses to itself
            arguments = shown.decode("latin-1").split("\0")
            covered = "\0".join(map(masked, arguments)).encode("latin-1")
            ctypes.memmove(start, covered, len(covered))


def parse_args(parser: ArgumentParser, argv: Sequence[str] | None = None) -> Namespace:
    """Parse a command line, raising an error where `parser.parse_args` would exit the process.

    Args:
        parser: A jsonargparse parser. Its settings are changed: it no longer exits on errors, and
            accepts no abbreviated options. A parser with subcommands must be made with
            `exit_on_error=False`, which the subcommands inherit.
        argv: Arguments without the program's name. Default: those of the process.

    Raises:
        InputError: An argument is unknown, missing or of the wrong type, or a config file is
            missing, is not YAML or has an unknown key. The message names it.
    """
    parser.exit_on_error = False
    parser.allow_abbrev = False  # a mistyped option is an error, as a mistyped key in a file is
    try:
        return parser.parse_args(None if argv is None else list(argv))
    except argparse.ArgumentError as error:
        message = one_line(error).rstrip(".")
        if len(message) > MAX_PARSER_MESSAGE:
            message = f"{message[:MAX_PARSER_MESSAGE]}..."
        raise InputError(f"{message}. See `{parser.prog} --help`.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The config file is not text ({error}): give a YAML file.") from error


def parse_config(
    prog: str, description: str | None, kind: type[Config], argv: Sequence[str] | None = None
) -> Config:
    """Parse a command line, and the YAML files that it names, into a dataclass.

    Args:
        prog: Name of the script, for the help and for error messages.
        description: First lines of the help.
        kind: The dataclass. Its fields, and those of dataclasses within it, are the options.
        argv: Arguments without the program's name. Default: those of the process.

    Raises:
        InputError: `parse_args` or the dataclass rejects a value.
    """
    _read_ranges_as_text()
    parser = _Parser(prog=prog, description=description, formatter_class=_HelpFormatter)
    parser.add_argument("--config", action="config", help="YAML file with values of any options.")
    parser.add_class_arguments(kind)
    values = parser.instantiate(parse_args(parser, argv))
    config: Config = kind(**{field.name: values[field.name] for field in fields(kind)})
    return config


def _read_ranges_as_text() -> None:
    """Make the options' YAML loader read 2:8 as text.

    YAML 1.1 reads it as the number 128, written to base 60.
    """
    loader = get_yaml_default_loader()  # type: ignore[no-untyped-call]
    integer_tag = "tag:yaml.org,2002:int"
    resolvers = loader.yaml_implicit_resolvers
    for first_character, known in resolvers.items():
        resolvers[first_character] = [each for each in known if each[0] != integer_tag]
    integer = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$")
    loader.add_implicit_resolver(integer_tag, integer, list("-+0123456789"))
