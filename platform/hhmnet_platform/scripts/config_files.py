"""Config files: YAML whose keys are options, checked before the parser reads it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hhmnet_core.checks.parsing import MAX_YAML_BYTES
from hhmnet_core.errors import InputError
from hhmnet_core.files import local_access
from hhmnet_core.passwords import one_line
from hhmnet_platform.scripts.messages import unknown_keys, unknown_option
from hhmnet_platform.scripts.options import Options
from hhmnet_platform.scripts.yaml_files import load_yaml


def read_config(path: str, options: Options, prog: str) -> dict[str, Any]:
    """Return the values of a config file by dotted name. None of a pipe, which is read only once.

    Its text is not quoted in messages: it may be any file, such as one of passwords.

    Args:
        path: The file.
        options: Options that its keys name.
        prog: The command, for messages.

    Raises InputError for a file that cannot be read, is no YAML of options or has an unknown key.
    """
    file = Path(path)
    try:
        with local_access(file):
            if not file.is_file():
                return {}
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
    if not isinstance(values, dict):
        raise InputError(
            f"The config file {path} holds no options: expected YAML lines such as `seed: 1`."
        )
    if "config" in values:
        raise InputError(
            f"The config file {path} has the key config: a config file cannot name another; give "
            "--config several times."
        )
    place = f"the config file {path}"
    unknown = list(_unknown(values, options))
    if unknown:
        raise unknown_keys(unknown, options, prog, place)
    return _flat(values, options, prog, place)


def read_group(name: str, value: str, options: Options, prog: str) -> dict[str, Any]:
    """Return the values of a group that is given as a mapping; none where it is a file's.

    Raises InputError for an unknown key.
    """
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


def _unknown(values: Mapping[Any, Any], options: Options, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names that are neither an option nor a group."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if name in options.groups and isinstance(value, dict):
            yield from _unknown(value, options, f"{name}.")
        elif name not in options.by_name and name not in options.groups:
            yield name
