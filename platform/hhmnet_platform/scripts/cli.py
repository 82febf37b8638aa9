"""Command lines of the scripts in `experiments/`."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_loader
from jsonargparse._actions import ActionConfigFile
from jsonargparse._loaders_dumpers import get_yaml_default_loader, yaml_load

from hhmnet_core.checks.parsing import MAX_YAML_BYTES, check_yaml
from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access
from hhmnet_core.passwords import one_line, without_password

Config = TypeVar("Config", bound=Any)

MAY_BE_EMPTY = {"--tracking_uri"}  # empty: the workspace's, whatever $MLFLOW_TRACKING_URI is


class _HelpFormatter(DefaultHelpFormatter):
    """Shows no password of a default, such as one from the environment."""

    def _expand_help(self, action: argparse.Action) -> str:
        return without_password(str(super()._expand_help(action)))


class _Parser(ArgumentParser):
    """Prints no password with --print_config."""

    def dump(self, *arguments: Any, **settings: Any) -> str:
        return without_password(super().dump(*arguments, **settings))


def parse_args(parser: ArgumentParser, argv: Sequence[str] | None = None) -> Namespace:
    """Parse a command line, raising an error where `parser.parse_args` would exit the process.

    Args:
        parser: A jsonargparse parser. Its settings are changed: it no longer exits on errors, and
            accepts no abbreviated options. A parser with subcommands must be made with
            `exit_on_error=False` and `allow_abbrev=False`, which the subcommands inherit.
        argv: Arguments without the program's name. Default: those of the process.

    Raises:
        InputError: An argument is unknown, missing, empty or of the wrong type, or a config file is
            missing, is not YAML or has an unknown key, or one twice. The message names it.
    """
    _check_no_empty_value(sys.argv[1:] if argv is None else argv)
    set_loader("yaml", _load_yaml, exceptions=(yaml.YAMLError,))
    parser.exit_on_error = False
    parser.allow_abbrev = False  # a mistyped option is an error, as a mistyped key in a file is
    try:
        return parser.parse_args(None if argv is None else list(argv))
    except argparse.ArgumentError as error:
        message = one_line(error).rstrip(".")
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
    parser.add_argument(
        "--config", action=_ConfigFile, help="YAML file with values of any options, up to 1 MB."
    )
    parser.add_class_arguments(kind)
    parsed = parse_args(parser, argv)
    _check_groups(kind, parsed)
    values = parser.instantiate(parsed)
    config: Config = kind(**{field.name: values[field.name] for field in fields(kind)})
    return config


class _ConfigFile(ActionConfigFile):
    """A config file that is checked before it is parsed: its size, its encoding, its keys."""

    def __call__(
        self, parser: Any, cfg: Any, values: Any, option_string: str | None = None
    ) -> None:
        try:
            file = Path(values)
            with local_access(file):
                size = file.stat().st_size if file.is_file() else 0
                if size > MAX_YAML_BYTES:
                    raise InputError(
                        f"The config file {file} has {size} bytes, expected at most "
                        f"{MAX_YAML_BYTES}: give a YAML file of options."
                    )
                values_of_file = _load_yaml(file.read_text("utf-8")) if size else None
                # Its text is not repeated: it may be any file, such as one of passwords.
                if values_of_file is not None and not isinstance(values_of_file, dict):
                    raise InputError(
                        f"The config file {file} holds no options: expected YAML lines such as "
                        "`seed: 1`."
                    )
                if isinstance(values_of_file, dict) and "config" in values_of_file:
                    raise InputError(
                        f"The config file {file} has the key config: a config file cannot name "
                        "another; give --config several times."
                    )
        except UnicodeDecodeError as error:
            raise InputError(
                f"The config file {file} is not text ({error}): give a YAML file."
            ) from error
        except yaml.YAMLError:
            pass  # the parser names it
        super().__call__(parser, cfg, values, option_string)  # type: ignore[no-untyped-call]


def _check_no_empty_value(argv: Sequence[str]) -> None:
    """Raise InputError for an option with an empty value.

    It is mostly a shell variable that is not set, whose option must not fall back to its default.
    """
    for before, argument in zip(["", *argv], argv, strict=False):
        name, _, value = argument.partition("=") if argument.strip() else (before, "", "")
        is_empty = name.startswith("--") and not value.strip() and argument != name
        if is_empty and name not in MAY_BE_EMPTY:
            raise InputError(
                f"{name} has an empty value: give one, or leave the option out for its default."
            )


def _check_groups(kind: type[Any], values: Namespace, prefix: str = "") -> None:
    """Raise InputError where a config file gives a group of options another value than options."""
    hints = get_type_hints(kind)
    for each in fields(kind):
        value = values.get(each.name)
        if not is_dataclass(hints[each.name]):
            continue
        if not isinstance(value, Namespace):
            first = fields(hints[each.name])[0].name
            raise InputError(
                f"{prefix}{each.name} in the config file is {str(value)[:80]!r}, expected options "
                f"such as {first}: give them, or leave {prefix}{each.name} out for its defaults."
            )
        _check_groups(hints[each.name], value, f"{prefix}{each.name}.")


def _load_yaml(text: str) -> object:
    """Load YAML for the parser, checked by `check_yaml`. Raises YAMLError."""
    check_yaml(text)
    try:
        return yaml_load(text)  # type: ignore[no-untyped-call]
    except yaml.YAMLError:
        raise
    except Exception as error:  # a tag whose text does not fit; they have no common base
        raise yaml.YAMLError(one_line(error)) from error


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
