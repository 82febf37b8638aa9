"""How every script of `experiments/` ends: done, or one line on stderr and an exit code.

Exit codes: 0 done, 2 the user gave something that cannot be used, 130 interrupted with Ctrl-C or
SIGTERM. Any other exception is a bug of ours: it keeps its traceback, and Python ends with 1.
"""

import argparse
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn, TypeVar

from jsonargparse import ArgumentParser, Namespace
from jsonargparse._loaders_dumpers import get_yaml_default_loader

from hhmnet_core.errors import InputError

Config = TypeVar("Config", bound=Any)

EXIT_INPUT = 2
EXIT_INTERRUPTED = 130
MOST_SAID = 500  # letters of what the parser says


def run_script(main: Callable[[], None]) -> NoReturn:
    """Runs `main` and ends the process: what the user can cause is one line, not a traceback.

    `ray job stop` and schedulers send SIGTERM: it ends a script as Ctrl-C does.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except InputError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        sys.exit(EXIT_INPUT)
    except KeyboardInterrupt:
        print("interrupted.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0)


def parse_args(parser: ArgumentParser, argv: Sequence[str] | None = None) -> Namespace:
    """Parses the command line, as `parser.parse_args` does but without a usage dump on errors.

    Args:
        parser: A jsonargparse parser; it is told not to end the process itself. One with
            subcommands has to be made with `exit_on_error=False`, which they inherit.
        argv: The arguments, without the program's name; None takes `sys.argv[1:]`.

    Raises:
        InputError: An unknown or missing argument, a value of the wrong type, a config file that
            is missing, is not YAML or holds an unknown key. The message names it.
    """
    parser.exit_on_error = False
    parser.allow_abbrev = False  # an option mistyped is an error, as it is in a file
    try:
        return parser.parse_args(None if argv is None else list(argv))
    except argparse.ArgumentError as error:
        said = one_line(str(error)).rstrip(".")
        if len(said) > MOST_SAID:  # a whole file, where it is no config
            said = f"{said[:MOST_SAID]}..."
        raise InputError(f"{said}. See `{parser.prog} --help`.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The config file is not text ({error}): give a YAML file.") from error


def parse_config(
    prog: str, about: str | None, kind: type[Config], argv: Sequence[str] | None = None
) -> Config:
    """The dataclass that a command line describes, and the YAML files that it names.

    Args:
        prog: The script's name.
        about: What it does.
        kind: A dataclass; its fields, and those of the dataclasses in it, are the options.
        argv: The arguments; None takes those of the process.

    Raises InputError as `parse_args` and the dataclass do.
    """
    _read_ranges_as_text()
    parser = ArgumentParser(prog=prog, description=about)
    parser.add_argument("--config", action="config", help="A YAML file with any of the fields.")
    parser.add_class_arguments(kind)
    values = parser.instantiate(parse_args(parser, argv))
    config: Config = kind(**{name.name: values[name.name] for name in fields(kind)})
    return config


def _read_ranges_as_text() -> None:
    """2:8 is to YAML 1.1, and so to the options that it reads, the number 128, to base 60."""
    loader = get_yaml_default_loader()  # type: ignore[no-untyped-call]
    integer = "tag:yaml.org,2002:int"
    resolvers = loader.yaml_implicit_resolvers
    for first, known in resolvers.items():
        resolvers[first] = [each for each in known if each[0] != integer]
    plain = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$")
    loader.add_implicit_resolver(integer, plain, list("-+0123456789"))


def one_line(text: str) -> str:
    """`text` with every run of white space, line ends too, as one space."""
    return " ".join(text.split())
