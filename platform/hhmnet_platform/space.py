"""What a search may change: fields of a config, and where their values come from."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from hhmnet_core.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Config = TypeVar("Config", bound=Any)


@dataclass
class Dimension:
    """Where a field's values come from: a range, or choices.

    Attributes:
        low: The least value.
        high: The largest.
        log: Whether the range is searched by ratios.
        choices: In the place of a range: the values themselves.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[Any] | None = None

    def ends(self) -> list[Any]:
        """Values that bound the dimension, to be tried on a config."""
        return list(self.choices) if self.choices else [self.low, self.high]


def distributions(config: Any, space: Mapping[str, Dimension]) -> dict[str, "BaseDistribution"]:
    """Optuna's, by dotted field.

    Raises InputError for no space, a field that the config does not have, a dimension that says
    nothing or too much, or a value that the config refuses.
    """
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if not space:
        raise InputError(
            "space is missing: give fields to search, such as contrast.temperature: {low: 0.03, "
            "high: 0.5, log: true}."
        )
    found: dict[str, BaseDistribution] = {}
    for name, dimension in space.items():
        now = _value(config, name)
        dimension = _with_words(config, name, dimension)
        ranged = dimension.low is not None and dimension.high is not None
        if ranged == bool(dimension.choices):
            raise InputError(f"space.{name} must give either low and high, or choices.")
        if dimension.choices:
            found[name] = CategoricalDistribution(dimension.choices)
        else:
            assert dimension.low is not None and dimension.high is not None
            if isinstance(now, bool) or not isinstance(now, int | float):
                raise InputError(f"space.{name} is no number, so it needs choices.")
            if not dimension.low < dimension.high or (dimension.log and dimension.low <= 0):
                raise InputError(
                    f"space.{name} must have low < high, and low > 0 with log, but is "
                    f"{dimension.low} to {dimension.high}."
                )
            if isinstance(now, int):
                whole = int(dimension.low), int(dimension.high)
                found[name] = IntDistribution(*whole, log=dimension.log)
            else:
                found[name] = FloatDistribution(dimension.low, dimension.high, log=dimension.log)
        for value in dimension.ends():
            _check_literal(config, name, value)
            configured(config, {name: value})  # the config itself knows what it can be
    return found


def configured(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values, by dotted field; raises InputError as the config does."""
    for name, value in values.items():
        now = _value(config, name)
        given = type(now)(value) if isinstance(now, int | float) else value
        part, _, field = name.rpartition(".")
        if part:
            changed = replace(getattr(config, part), **{field: given})
            config = replace(config, **{part: changed})
        else:
            config = replace(config, **{field: given})
    return config


def _words(config: Any, name: str) -> tuple[str, ...]:
    """That a field takes; () for one that takes other values too."""
    part, _, field = name.rpartition(".")
    known = get_type_hints(type(getattr(config, part) if part else config))[field]
    return get_args(known) if get_origin(known) is Literal else ()


def _with_words(config: Any, name: str, dimension: Dimension) -> Dimension:
    """The dimension with the word `off` where YAML reads it as false."""
    if dimension.choices and "off" in _words(config, name):
        choices = ["off" if choice is False else choice for choice in dimension.choices]
        return replace(dimension, choices=choices)
    return dimension


def _check_literal(config: Any, name: str, value: Any) -> None:
    """Of a field that takes some words alone: a config is not checked for those but when read."""
    if (words := _words(config, name)) and value not in words:
        raise InputError(f"space.{name} must be of {', '.join(words)}, but has {value!r}.")


def _value(config: Any, name: str) -> Any:
    """Of a field `part.field` or `field` that holds no other config."""
    part, _, field = name.rpartition(".")
    holder = getattr(config, part, None) if part else config
    known = [each.name for each in fields(holder)] if is_dataclass(holder) else []
    if field not in known or is_dataclass(getattr(holder, field)):
        of = f"{part} has {', '.join(known)}" if known else "parts are data, model, augment, ..."
        raise InputError(f"space.{name} is no field of the config: {of}.")
    return getattr(holder, field)
