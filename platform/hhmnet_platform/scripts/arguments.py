"""The words of a command line, brought into the form that the parser reads.

Hyphens in names become underscores, a bare --dry-run becomes --dry_run=true, and the words after an
option that takes a list become that list. What no option takes is refused here, with what was
perhaps meant.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from hhmnet_core.errors import InputError
from hhmnet_platform.scripts.config_files import read_config, read_group
from hhmnet_platform.scripts.messages import as_given, unknown_option, wrong_value
from hhmnet_platform.scripts.options import Option, Options, example, expected
from hhmnet_platform.scripts.recipes import find_recipe
from hhmnet_platform.scripts.yaml_files import is_number_of_yaml, load_yaml

MAY_BE_EMPTY = {"tracking_uri"}  # empty: the workspace's, whatever $MLFLOW_TRACKING_URI is
HELP = ("-h", "--help")


@dataclass
class Given:
    """What a command line gives.

    Attributes:
        words: Words for the parser, each `--name=value`.
        print_words: Those of --print_config.
        values: Value of each option by name; texts of the command line, values of config files.
        files: Config files that values are from, by name of the option.
    """

    words: list[str] = field(default_factory=list)
    print_words: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: Any, file: str = "") -> None:
        self.values[name], self.files[name] = value, file


def read_arguments(argv: Sequence[str], options: Options, prog: str) -> Given:
    """Read a command line.

    Args:
        argv: Arguments after the command.
        options: The command's options.
        prog: The command, for messages.

    Raises:
        InputError: An unknown option or key, a list that is given twice, an option without its
            value or with an empty one, a config file that cannot be read.
    """
    given, words = Given(), list(argv)
    values: dict[str, object] = {}  # by option, of the command line
    before: tuple[str, str] | None = None  # an option and its value
    while words:
        word = words.pop(0)
        if not _is_option(word):
            raise _no_option(word, before, prog)
        written, sign, value = word.partition("=")
        name = _known_name(written, options, prog)
        if name == "print_config":
            given.print_words.append(word.replace(written, "--print_config", 1))
            continue
        option = options.by_name.get(name)
        before = None
        if not sign:
            value = _value_of_next(words, name, option)
            before = (name, value)
        if not value.strip() and name not in MAY_BE_EMPTY:
            raise InputError(
                f"--{name} has an empty value: give one, or leave the option out for its default."
            )
        if name == "config":
            value = str(find_recipe(value))
            for key, each in read_config(value, options, prog).items():
                given.add(key, each, value)
        else:
            in_group = name in options.groups
            new = read_group(name, value, options, prog) if in_group else {name: value}
            for key, each in new.items():
                if key in values:
                    _check_repeated(key, values[key], each, options)
                values[key] = each
                if option is not None and option.is_list:
                    value = each = _as_list(value, option)
                if key in options.by_name:
                    given.add(key, each)
        given.words.append(f"--{name}={value}")
    for name, each in given.values.items():
        if options.by_name[name].is_numeric and _has_number_of_yaml(each):
            raise wrong_value(options.by_name[name], each, given.files[name])
    return given


def _check_repeated(name: str, first: object, second: object, options: Options) -> None:
    """Tell that the second value of an option counts, as one expects of a command that is extended.

    Raises InputError for a list, to which one may expect that a second value is added.
    """
    option = options.by_name.get(name)
    values = f"--{name} is given twice, as {as_given(first)[:80]} and as {as_given(second)[:80]}"
    if option is not None and option.is_list:
        raise InputError(f"{values}: give all its values at once.")
    if first != second:
        print(f"note: {values}: the second one counts.", file=sys.stderr)


def _has_number_of_yaml(value: object) -> bool:
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            value = load_yaml(value)
        except yaml.YAMLError:
            return False  # the parser names it
    if isinstance(value, list):
        return any(map(_has_number_of_yaml, value))
    return is_number_of_yaml(value)


def _is_option(word: str) -> bool:
    return bool(re.match(r"--|-[^\W\d]", word)) and " " not in word.partition("=")[0]


def _no_option(word: str, before: tuple[str, str] | None, prog: str) -> InputError:
    """Return the error for a word that is neither an option nor the value of one."""
    if before is None:
        problem = f"There is no place for {word!r}: expected options such as --name VALUE."
    else:
        option, value = before
        problem = f"--{option} takes one value, but {value} and {word} follow it: give one of them."
    return InputError(f"{problem} See `{prog} --help`.")


def _known_name(written: str, options: Options, prog: str) -> str:
    """Return the name of an option as the parser has it."""
    if not written.startswith("--"):
        raise unknown_option(written, options, prog)
    name = written[2:].replace("-", "_")
    if name in options.by_name or name in options.groups:
        return name
    if options.has_config and name in ("config", "print_config"):
        return name
    whole = options.by_name.get(name.removesuffix("+"))
    if whole is not None and whole.is_list:
        raise InputError(
            f"{written} would append to a list, which no option does: give all its values, such as "
            f"{example(whole)}."
        )
    for each in options.by_name.values():
        if each.is_mapping and name.startswith(f"{each.name}."):
            return written[2:]
    raise unknown_option(written, options, prog)


def _value_of_next(words: list[str], name: str, option: Option | None) -> str:
    """Take the value of an option from the words that follow it."""
    if option is not None and option.is_list:
        taken = []
        while words and not _is_option(words[0]):
            taken.append(words.pop(0))
        if len(taken) > 1:
            return _list_of(taken, option)
        words[:0] = taken
    if words and not _is_option(words[0]):
        return words.pop(0)
    if option is not None and option.is_bool:
        return "true"
    if words and not words[0].startswith("--"):
        raise InputError(
            f"--{name} has no value: {words[0]} begins with a dash, as options do. If it is the "
            f"value, write --{name}={words[0]}."
        )
    wanted = f"expected {expected(option)}" if option is not None else "give one"
    raise InputError(f"--{name} has no value: {wanted}.")


def _as_list(value: str, option: Option) -> str:
    """Return a list as the parser reads it; one value alone becomes a list of one."""
    is_null = option.accepts_null and value == "null"
    # A list of one pair, [3,1], is one pair alone.
    is_list = re.match(r"\s*\[\s*\[" if option.is_list_of_pairs else r"\s*\[", value)
    return value if is_list or is_null else _list_of([value], option)


def _list_of(words: Sequence[str], option: Option) -> str:
    if option.is_list_of_pairs and not all(word.lstrip().startswith("[") for word in words):
        raise wrong_value(option, " ".join(words))
    items: list[object] = list(words)
    if list[str] not in option.alternatives:
        try:
            items = [load_yaml(each) for each in words]
        except yaml.YAMLError:
            pass  # as texts, which the parser refuses by the option's name
    return json.dumps(items)
