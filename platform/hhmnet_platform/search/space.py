"""What a search may change: fields of a config, and where their values come from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from hhmnet_core.errors import InputError
from hhmnet_platform.overrides import apply_overrides

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Config = TypeVar("Config", bound=Any)

# Fields that trials have in common, and why.
COMMON = {
    "data.store": "what was tried on other data cannot be compared",
    "data.protocol": "what was tried on other data cannot be compared",
    "data.selection": "a search chooses by val",
    "optim.epochs": "--epochs says how long a trial is",
}


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

    @property
    def ends(self) -> list[Any]:
        """Values that bound the dimension, to be tried on a config."""
        return [self.low, self.high] if self.choices is None else self.choices


def dimension(name: str, given: Any) -> Dimension:
    """A dimension as a config file says it. Raises InputError where it cannot be read."""
    if isinstance(given, Dimension):
        return given
    known = [each.name for each in fields(Dimension)]
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise InputError(
            f"space.{name} is {given!r}, but expected {{low: ..., high: ...}}, with log: true to "
            "search by ratios, or {choices: [...]}."
        )
    read = Dimension(**given)
    if read.choices is not None and not isinstance(read.choices, list):
        raise InputError(f"space.{name}.choices must be a list, but is {read.choices!r}.")
    if not isinstance(read.log, bool):
        raise InputError(f"space.{name}.log must be true or false, but is {read.log!r}.")
    return read


def distributions(config: Any, space: Mapping[str, Dimension]) -> dict[str, "BaseDistribution"]:
    """Optuna's, by dotted field.

    Raises InputError for no space, a field that the config does not have or that is not searched,
    a dimension that says nothing or too much, or a value that the config refuses.
    """
    if not space:
        example = "contrast" if hasattr(config, "contrast") else "parts"
        raise InputError(
            f"space is missing: give fields to search, such as {example}.temperature: {{low: 0.03, "
            "high: 0.5, log: true}."
        )
    return {name: _distribution(config, str(name), each) for name, each in space.items()}


def _distribution(config: Any, name: str, dimension: Dimension) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    kind = _kind(config, name)
    if (dimension.low is not None and dimension.high is not None) == bool(dimension.choices):
        raise InputError(f"space.{name} must give either low and high, or choices.")
    if not dimension.choices and kind not in (int, float):
        raise InputError(f"space.{name} is no number, so it needs choices.")
    ends = [_typed(name, kind, value) for value in dimension.ends]
    for value in ends:
        apply_overrides(config, {name: value})  # the config itself knows what it can be
    if dimension.choices:
        if len({*ends}) < len(ends):
            raise InputError(f"space.{name} has a choice twice: {dimension.choices}.")
        return CategoricalDistribution(ends)
    low, high = ends
    if not low < high or (dimension.log and low <= 0):
        raise InputError(
            f"space.{name} must have low < high, and low > 0 with log, but is {low} to {high}."
        )
    if kind is int:
        return IntDistribution(low, high, log=dimension.log)
    return FloatDistribution(low, high, log=dimension.log)


def _kind(config: Any, name: str) -> Any:
    """The type of a field that can be searched: int, float, bool, str or a Literal."""
    if name in COMMON:
        raise InputError(f"space.{name} cannot be searched: {COMMON[name]}.")
    part, _, field = name.rpartition(".")
    holder = getattr(config, part, None) if part else None
    if not is_dataclass(holder):
        parts = [each.name for each in fields(config) if is_dataclass(getattr(config, each.name))]
        raise InputError(
            f"space.{name} is no field that can be searched: expected PART.FIELD of "
            f"{', '.join(parts)}."
        )
    known = [each.name for each in fields(holder) if f"{part}.{each.name}" not in COMMON]
    if field not in known:
        raise InputError(f"space.{name} is no field of the config: {part} has {', '.join(known)}.")
    kind = get_type_hints(type(holder))[field]
    if NoneType in get_args(kind):  # a field that may be left to another
        (kind, *more) = (each for each in get_args(kind) if each is not NoneType)
        kind = Any if more else kind
    if kind not in (int, float, bool, str) and get_origin(kind) is not Literal:
        raise InputError(f"space.{name} is neither a number nor a word, so it cannot be searched.")
    return kind


def _typed(name: str, kind: Any, value: Any) -> Any:
    """A value as the field takes it. Raises InputError for one of another type."""
    words = get_args(kind)
    if words:
        value = "off" if value is False and "off" in words else value  # as YAML reads the word
        if value not in words:
            raise InputError(f"space.{name} must be of {', '.join(words)}, but has {value!r}.")
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and is_number and math.isfinite(value):
        return float(value)
    if kind is int and is_number and math.isfinite(value) and value == int(value):
        return int(value)
    if kind in (bool, str) and isinstance(value, kind):
        return value
    said = {int: "whole numbers", float: "finite numbers", bool: "true or false", str: "words"}
    raise InputError(f"space.{name} must have {said[kind]}, but has {value!r}.")
