"""Command lines of the scripts in `experiments/`."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from jsonargparse import ArgumentParser, Namespace
from jsonargparse._loaders_dumpers import get_yaml_default_loader

from hhmnet_core.errors import InputError
from hhmnet_platform.entry import one_line

Config = TypeVar("Config", bound=Any)

MAX_PARSER_MESSAGE = 500  # characters; a file that is no config would be quoted as a whole


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
        message = one_line(str(error)).rstrip(".")
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
    parser = ArgumentParser(prog=prog, description=description)
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
