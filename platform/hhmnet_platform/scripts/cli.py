"""Command lines: from words to the values of a dataclass or the arguments of a function."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import MISSING, is_dataclass
from functools import partial
from typing import Any, TypeVar, get_type_hints

import yaml
from jsonargparse import ArgumentParser, Namespace, set_loader

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line, without_password
from hhmnet_platform.scripts.arguments import HELP, Given, read_arguments
from hhmnet_platform.scripts.help import help_text
from hhmnet_platform.scripts.messages import wrong_value
from hhmnet_platform.scripts.options import Options, options_of
from hhmnet_platform.scripts.yaml_files import is_number_of_yaml, load_yaml

Config = TypeVar("Config", bound=Any)
_KEY = re.compile(r'Parser key "([^"]+)"')


class _Parser(ArgumentParser):
    """Prints no password with --print_config."""

    def dump(self, *arguments: Any, **settings: Any) -> str:
        return without_password(super().dump(*arguments, **settings))


def parse_config(
    prog: str, kind: type[Config], argv: Sequence[str] | None = None, head: str = ""
) -> Config:
    """Parse a command line, and the YAML files that it names, into a dataclass.

    Args, and errors: as of `parse_call`. Raises InputError too where the dataclass rejects a value.
    """
    config: Config = parse_call(prog, kind, argv, head)()
    return config


def parse_call(
    prog: str,
    target: Callable[..., Config],
    argv: Sequence[str] | None = None,
    head: str = "",
    deed: str = "",
) -> Callable[[], Config]:
    """Parse a command line, and the YAML files that it names, into a call.

    Args:
        prog: The command, for the help and for error messages.
        target: A dataclass or function. Its fields or arguments, and those of dataclasses within
            them, are the options.
        argv: Arguments after the command. Default: those of the process.
        head, deed: As of `help_text`.

    Returns:
        The target with all its arguments. With --print_config they are printed instead, and the
        process exits; a target that rejects them raises InputError after that.

    Raises:
        InputError: An argument is unknown, missing, empty or of the wrong type, a list is given
            twice, or a config file is missing, is not YAML or has an unknown key, or one twice. The
            message names it.
    """
    argv, options = sys.argv[1:] if argv is None else argv, options_of(target)
    if any(word in HELP for word in argv):
        print(help_text(prog, options, head, deed))
        raise SystemExit(0)
    given = read_arguments(argv, options, prog)
    for name, option in options.by_name.items():
        if option.default is MISSING and name not in given.values:
            raise InputError(f"--{name} is missing: {option.text} See `{prog} --help`.")
    if given.print_words:
        _print_config(prog, target, given, options)
    parsed = _parse(_parser_of(prog, target, options), given.words, given, options)
    for name, value in given.values.items():
        if is_number_of_yaml(value):
            parsed[name] = value
    call = partial(target, **_built(target, parsed))
    if given.print_words:
        call()  # raises InputError for values that cannot work
        raise SystemExit(0)
    return call


def _parser_of(prog: str, target: Callable[..., Any], options: Options) -> ArgumentParser:
    parser = _Parser(prog=prog, exit_on_error=False, allow_abbrev=False)
    if options.has_config:
        parser.add_argument("--config", action="config")
        parser.add_class_arguments(target)
    else:
        parser.add_function_arguments(target, as_group=False)
    return parser


def _print_config(prog: str, target: Callable[..., Any], given: Given, options: Options) -> None:
    """Print all values as YAML, where the parser can read them."""
    words = [*given.words, *given.print_words]
    with suppress(SystemExit):  # with which the parser ends where it has printed
        _parse(_parser_of(prog, target, options), words, given, options)


def _built(target: Callable[..., Any], values: Namespace) -> dict[str, Any]:
    """Return the arguments of a dataclass or function, their dataclasses built."""
    built = {}
    for name, hint in get_type_hints(target).items():
        if name not in values:
            continue
        value = values[name]
        if isinstance(hint, type) and is_dataclass(hint):
            value = hint(**_built(hint, value))
        built[name] = value.as_dict() if isinstance(value, Namespace) else value
    return built


def _parse(
    parser: ArgumentParser, words: Sequence[str], given: Given, options: Options
) -> Namespace:
    set_loader("yaml", load_yaml, exceptions=(yaml.YAMLError,))
    try:
        return parser.parse_args(words)
    except argparse.ArgumentError as error:
        raise _explained(error, given, options, parser.prog) from error
    except UnicodeDecodeError as error:
        raise InputError(f"The config file is not text ({error}): give a YAML file.") from error


def _explained(
    error: argparse.ArgumentError, given: Given, options: Options, prog: str
) -> InputError:
    """Return the parser's error in our words."""
    named = _KEY.findall(str(error))
    for name in reversed(named):
        if name in options.by_name:
            return wrong_value(
                options.by_name[name], given.values.get(name), given.files.get(name, "")
            )
        if name in options.groups:
            first = options.of_group(name)[0].name
            return InputError(
                f"--{name} cannot be read as options: give them one by one, such as --{first}."
            )
    return InputError(f"{one_line(error).rstrip('.')}. See `{prog} --help`.")
