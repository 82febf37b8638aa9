"""Changing fields of a config by their dotted names."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

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
