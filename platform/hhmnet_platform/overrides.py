"""Changing fields of a config by their dotted names."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.identity import flattened

Config = TypeVar("Config", bound=Any)


def apply_overrides(config: Config, values: Mapping[str, object]) -> Config:
    """Return a copy of a config with other values.

    Args:
        config: A dataclass, which may hold dataclasses. It is not changed.
        values: New values by dotted field name, at most two levels deep, such as `optim.lr`.

    Raises:
        InputError: The config rejects a value.
    """
    for name, value in values.items():
        group, _, field = name.rpartition(".")
        if group:
            changed = replace(getattr(config, group), **{field: value})
            config = replace(config, **{group: changed})
        else:
            config = replace(config, **{field: value})
    return config


def checked_overrides(config: Config, values: Mapping[str, object], where: str) -> Config:
    """Return a copy of a config with other values that a user has written.

    Args:
        config: A dataclass, which may hold dataclasses. It is not changed.
        values: New values by dotted field name, such as `optim.lr`.
        where: Description of the values for messages, such as "Variant 'no mask'".

    Raises:
        InputError: A field that the config does not have, or a value of another type or one that
            the config refuses.
    """
    nested = json.loads(json.dumps(asdict(config)))
    known = flattened(nested)
    for name, value in values.items():
        check_known(name, list(known), f"{where} has the field")
        holder = nested
        *groups, field = name.split(".")
        for group in groups:
            holder = holder[group]
        holder[field] = _as_number(value) if isinstance(known[name], float) else value
    try:
        changed: Config = from_json(type(config), nested)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return changed


def check_known(name: object, known: list[str], what: str) -> None:
    """Raise InputError for an unknown name; the message has the most similar known one.

    Args:
        name: Name that a user has written.
        known: Names that are known.
        what: Start of the message.
    """
    if name in known:
        return
    similar = get_close_matches(str(name), known, n=1, cutoff=0.0)
    raise InputError(
        f"{what} {str(name)[:80]!r}, which is unknown: the most similar one is "
        f"{similar[0] if similar else 'none'}."
    )


def _as_number(value: object) -> object:
    """Return the number in a text such as 1e-3, which YAML 1.1 does not read as a number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
