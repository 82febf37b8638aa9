"""Changing fields of a config by their dotted names."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

Config = TypeVar("Config", bound=Any)


def apply_overrides(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values, by dotted field; raises InputError as the config does."""
    for name, value in values.items():
        part, _, field = name.rpartition(".")
        if part:
            changed = replace(getattr(config, part), **{field: value})
            config = replace(config, **{part: changed})
        else:
            config = replace(config, **{field: value})
    return config
