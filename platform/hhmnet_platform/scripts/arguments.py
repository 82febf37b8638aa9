"""The words of a command line, brought into the form that the parser reads.

Hyphens in names become underscores, a bare --dry-run becomes --dry_run=true, and the words after an
option that takes a list become that list. What no option takes is refused here, with what was
perhaps meant.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from hhmnet_core.checks.parsing import MAX_YAML_BYTES
from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access
from hhmnet_core.passwords import one_line
from hhmnet_platform.scripts.options import Option, Options, expected
from hhmnet_platform.scripts.recipes import find_recipe
from hhmnet_platform.scripts.yaml_files import load_yaml

MAY_BE_EMPTY = {"tracking_uri"}  # empty: the workspace's, whatever $MLFLOW_TRACKING_URI is
HELP = ("-h", "--help")
_BASE_60 = re.compile(r"[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?")


@dataclass
class Given:
    """What a command line gives.

    Attributes:
        words: Words for the parser, each `--name=value` or a bare --print_config.
        values: Value of each option by name; texts of the command line, values of config files.
        files: Config files that values are from, by name of the option.
    """

    words: list[str] = field(default_factory=list)
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
        InputError: An unknown option or key, an option without its value or with an empty one, a
            config file that cannot be read.
    """
    given, words, before = Given(), list(argv), ("", "")
    while words:
        word = words.pop(0)
        if not _is_option(word):
            if before[0]:
                raise InputError(
                    f"{before[0]} takes one value, but {before[1]} and {word} follow it: give one "
                    f"of them. See `{prog} --help`."
                )
            raise InputError(
                f"There is no place for {word!r}: expected options such as --name VALUE. "
                f"See `{prog} --help`."
            )
        written, sign, value = word.partition("=")
        name = _known_name(written, options, prog)
        if name == "print_config":
            given.words.append(word.replace(written, "--print_config", 1))
            continue
        option = options.by_name.get(name.removesuffix("+"))
        before = ("", "")
        if not sign:
            value = _value_of_next(words, written, option)
            before = (written, value)
        if not value.strip() and name not in MAY_BE_EMPTY:
            raise InputError(
                f"{written} has an empty value: give one, or leave the option out for its default."
            )
        if name == "config":
            value = str(find_recipe(value))
            for key, each in _read_config(value, options, prog).items():
                given.add(key, each, value)
        elif name in options.groups:
            for key, each in _inline_group(name, value, options, prog).items():
                given.add(key, each)
        elif option is not None:
            if option.is_list and name == option.name:
                value = _as_list(value, option)
            given.add(name.removesuffix("+"), value)
        given.words.append(f"--{name}={value}")
    for name, each in given.values.items():
        if options.by_name[name].is_numeric and _has_base_60(each):
            raise wrong_value(options.by_name[name], given)
    return given


def wrong_value(option: Option, given: Given) -> InputError:
    """Return the error for an option whose value is of another type."""
    value, file = given.values.get(option.name), given.files.get(option.name)
    place = f"{option.name} in the config file {file}" if file else f"--{option.name}"
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return InputError(f"{place} is {str(shown)[:80]!r}, expected {expected(option)}.")


def unknown_option(written: str, options: Options, prog: str, place: str = "") -> InputError:
    """Return the error for a name that no option has, with those that are near.

    Args:
        written: The name, as it was written.
        options: The command's options.
        prog: The command.
        place: Where it is a key. "": it is a word of the command line.
    """
    bare = written.lstrip("-").replace("-", "_").partition("+")[0]
    names = [*options.by_name, *options.groups]
    last = bare.rpartition(".")[2]
    near = [bare] if bare in options.by_name else []
    near += [each for each in names if each.rpartition(".")[2] == last and each not in near]
    near += [each for each in get_close_matches(bare, names, 3, 0.7) if each not in near]
    if not near:
        leaves = {each.rpartition(".")[2]: each for each in reversed(names)}
        near = [leaves[each] for each in get_close_matches(last, leaves, 3, 0.75)]
    if not near:  # such as --num-workers and --dry
        parts = {*last.split("_")}
        near = [each for leaf, each in leaves.items() if leaf in parts or last in leaf.split("_")]
    what = f"Unknown key {written} in {place}" if place else f"There is no option {written}"
    advice = " or ".join(each if place else f"--{each}" for each in near[:3])
    hint = f": did you mean {advice}?" if near else "."
    return InputError(f"{what}{hint} See `{prog} --help`.")


def is_base_60(value: object) -> bool:
    """Return whether the parser would read a text such as 2:8 as a number to base 60."""
    return isinstance(value, str) and bool(_BASE_60.fullmatch(value.strip()))


def _has_base_60(value: object) -> bool:
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            value = load_yaml(value)
        except yaml.YAMLError:
            return False  # the parser names it
    if isinstance(value, list):
        return any(map(_has_base_60, value))
    return is_base_60(value)


def _is_option(word: str) -> bool:
    return bool(re.match(r"--|-[^\W\d]", word)) and " " not in word.partition("=")[0]


def _known_name(written: str, options: Options, prog: str) -> str:
    """Return the name of an option as the parser has it."""
    if not written.startswith("--"):
        raise unknown_option(written, options, prog)
    name = written[2:].replace("-", "_")
    base = name.removesuffix("+")
    if name in options.by_name or name in options.groups:
        return name
    if options.has_config and name in ("config", "print_config"):
        return name
    if name != base and base in options.by_name and options.by_name[base].is_list:
        return name
    for each in options.by_name.values():
        if each.is_mapping and name.startswith(f"{each.name}."):
            return written[2:]
    raise unknown_option(written, options, prog)


def _value_of_next(words: list[str], written: str, option: Option | None) -> str:
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
    example = f": expected {expected(option)}" if option is not None else ": give one"
    raise InputError(f"{written} has no value{example}.")


def _as_list(value: str, option: Option) -> str:
    """Return a list as the parser reads it; one value alone becomes a list of one."""
    is_list = value.lstrip().startswith("[") or (option.accepts_null and value == "null")
    return value if is_list else _list_of([value], option)


def _list_of(words: Sequence[str], option: Option) -> str:
    items: list[object] = list(words)
    if list[str] not in option.alternatives:
        try:
            items = [load_yaml(each) for each in words]
        except yaml.YAMLError:
            pass  # as texts, which the parser refuses by the option's name
    return json.dumps(items)


def _read_config(path: str, options: Options, prog: str) -> dict[str, Any]:
    """Return the values of a config file by dotted name. Its text is not quoted in messages: it
    may be any file, such as one of passwords."""
    file = Path(path)
    try:
        with local_access(file):
            if not file.is_file():
                return {}  # such as a pipe, which can be read only once
            if (size := file.stat().st_size) > MAX_YAML_BYTES:
                raise InputError(
                    f"The config file {path} has {size} bytes, expected at most {MAX_YAML_BYTES}: "
                    "give a YAML file of options."
                )
            values = load_yaml(file.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"The config file {path} is not text ({error}): give a YAML file."
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"The config file {path} is not YAML: {one_line(error)}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InputError(
            f"The config file {path} holds no options: expected YAML lines such as `seed: 1`."
        )
    if "config" in values:
        raise InputError(
            f"The config file {path} has the key config: a config file cannot name another; give "
            "--config several times."
        )
    return _flat(values, options, prog, f"the config file {path}")


def _inline_group(name: str, value: str, options: Options, prog: str) -> dict[str, Any]:
    """Return the values of a group that is given as a mapping; none where it is a file's."""
    try:
        values = load_yaml(value)
    except yaml.YAMLError:
        return {}
    if not isinstance(values, dict):
        return {}
    return _flat(values, options, prog, f"--{name}", f"{name}.")


def _flat(
    values: Mapping[Any, Any], options: Options, prog: str, place: str, prefix: str = ""
) -> dict[str, Any]:
    """Return nested values by dotted name, each of an option."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if name in options.by_name:
            found[name] = value
        elif name not in options.groups:
            raise unknown_option(name, options, prog, place)
        elif isinstance(value, dict):
            found |= _flat(value, options, prog, place, f"{name}.")
        else:
            first = options.of_group(name)[0].name.removeprefix(f"{name}.")
            raise InputError(
                f"{name} in {place} is {str(value)[:80]!r}, expected options such as {first}: give "
                f"them, or leave {name} out for its defaults."
            )
    return found
