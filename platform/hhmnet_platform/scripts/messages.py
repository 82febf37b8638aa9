"""Errors of command lines and config files: what was given, and what was perhaps meant."""

import json
import re
from collections.abc import Sequence
from difflib import get_close_matches

from hhmnet_core.errors import InputError
from hhmnet_platform.scripts.options import Option, Options, example, expected
from hhmnet_platform.scripts.yaml_files import is_number_of_yaml


def wrong_value(option: Option, value: object, file: str = "") -> InputError:
    """Return the error for an option whose value is of another type.

    Args:
        option: The option.
        value: Value that was given.
        file: Config file that the value is from. "": the command line.
    """
    place = f"{option.name} in the config file {file}" if file else f"--{option.name}"
    shown = as_given(value, as_typed=option.is_list and not file)
    advice = example(option, in_file=bool(file))
    such_as = f", such as {advice}" if advice else ""
    words = re.split(r'[\s,\[\]"]+', shown)
    is_strange = option.is_numeric and any(map(is_number_of_yaml, words))
    decimal = ", in plain decimal digits" if is_strange else ""
    return InputError(f"{place} is {shown[:80]!r}, expected {expected(option)}{decimal}{such_as}.")


def as_given(value: object, as_typed: bool = True) -> str:
    """Return a value as it was given: with `as_typed` a list as words."""
    if as_typed and isinstance(value, str) and value.startswith("["):
        try:
            items = json.loads(value)
        except ValueError:
            return value  # as it was typed
        return " ".join(each if isinstance(each, str) else json.dumps(each) for each in items)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def unknown_option(written: str, options: Options, prog: str, place: str = "") -> InputError:
    """Return the error for a name that no option has, with those that are near.

    Args:
        written: The name, as it was written.
        options: The command's options.
        prog: The command.
        place: Where it is a key. "": it is a word of the command line.
    """
    near = _near(written, options, is_word=not place)
    what = f"Unknown key {written} in {place}" if place else f"There is no option {written}"
    advice = " or ".join(each if place else f"--{each}" for each in near[:3])
    hint = f": did you mean {advice}?" if near else "."
    return InputError(f"{what}{hint} See `{prog} --help`.")


def unknown_keys(names: Sequence[str], options: Options, prog: str, place: str) -> InputError:
    """Return the error for keys that are no options, one at least; arguments as above."""
    if len(names) == 1 or all(_near(each, options) for each in names):
        return unknown_option(names[0], options, prog, place)
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    return InputError(
        f"Unknown keys in {place}: {shown}; is it for another command? See `{prog} --help`."
    )


def _near(written: str, options: Options, is_word: bool = False) -> list[str]:
    """Return names that were perhaps meant, the nearest first."""
    bare = written.lstrip("-").replace("-", "_").partition("+")[0]
    names = [*options.by_name, *options.groups]
    if is_word:
        names += ["help", *(["config", "print_config"] if options.has_config else [])]
    last = bare.rpartition(".")[2]
    near = [bare] if bare in options.by_name else []
    near += [each for each in names if each.rpartition(".")[2] == last and each not in near]
    near += [each for each in get_close_matches(bare, names, 3, 0.7) if each not in near]
    leaves = {each.rpartition(".")[2]: each for each in reversed(names)}
    if not near:
        near = [leaves[each] for each in get_close_matches(last, leaves, 3, 0.75)]
    if not near:  # such as --num-workers and --dry
        parts = {*last.split("_")}
        near = [each for leaf, each in leaves.items() if leaf in parts or last in leaf.split("_")]
    return near
