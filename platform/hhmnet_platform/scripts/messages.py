"""Errors of command lines and config files: what was given, and what was perhaps meant."""

import json
from difflib import get_close_matches

from hhmnet_core.errors import InputError
from hhmnet_platform.scripts.options import Option, Options, expected


def wrong_value(option: Option, value: object, file: str = "") -> InputError:
    """Return the error for an option whose value is of another type.

    Args:
        option: The option.
        value: Value that was given.
        file: Config file that the value is from. "": the command line.
    """
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
