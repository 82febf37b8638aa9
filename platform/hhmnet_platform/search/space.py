"""The space of a search: fields of a config, and the values that each may take."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from hhmnet_core.errors import InputError
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.runs.config import Job
from hhmnet_platform.runs.phases import phase_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = bool | int | float | str
Values = Mapping[str, Value]

# Fields that cannot be searched, and the reason.
COMMON = {
    "data.store": "trials on different data cannot be compared",
    "data.protocol": "trials on different data cannot be compared",
    "data.selection": "a search selects on the validation split",
    "optim.epochs": "--epochs sets the length of a trial",
}


@dataclass
class Dimension:
    """The values that a field may take: a range, or choices.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Logarithmic scale for the range.
        choices: The values themselves, in place of a range.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[Any] | None = None

    @property
    def ends(self) -> list[Any]:
        """The values at the ends of the dimension, to be checked by the config."""
        return [self.low, self.high] if self.choices is None else self.choices


def parse_dimension(name: str, given: Any) -> Dimension:
    """Return a dimension from a config file. Raises InputError where it is malformed."""
    if isinstance(given, Dimension):
        return given
    known = [each.name for each in fields(Dimension)]
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise InputError(
            f"space.{name} is {given!r}, but expected {{low: ..., high: ...}}, with log: true for "
            "a logarithmic scale, or {choices: [...]}."
        )
    dimension = Dimension(**given)
    if dimension.choices is not None and not isinstance(dimension.choices, list):
        raise InputError(f"space.{name}.choices must be a list, but is {dimension.choices!r}.")
    if not isinstance(dimension.log, bool):
        raise InputError(f"space.{name}.log must be true or false, but is {dimension.log!r}.")
    return dimension


def distributions(config: Job, space: Mapping[str, Dimension]) -> dict[str, "BaseDistribution"]:
    """Return Optuna's distributions by dotted field.

    Raises InputError for an empty space, a field that does not exist or cannot be searched, a
    dimension with neither or both of range and choices, or a value that the config refuses.
    """
    if not space:
        example = phase_of(config).search_example
        raise InputError(
            f"space is missing: give fields to search, such as {example}: {{low: 0.03, high: 0.5, "
            "log: true}."
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
        raise InputError(f"space.{name} is not a number, so it needs choices.")
    ends = [_typed(name, kind, value) for value in dimension.ends]
    for value in ends:
        apply_overrides(config, {name: value})  # the config checks the value
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
    """Return the type of a searchable field: int, float, bool, str or a Literal."""
    if name in COMMON:
        raise InputError(f"space.{name} cannot be searched: {COMMON[name]}.")
    group, _, field = name.rpartition(".")
    holder = getattr(config, group, None) if group else None
    if not is_dataclass(holder):
        groups = [each.name for each in fields(config) if is_dataclass(getattr(config, each.name))]
        raise InputError(
            f"space.{name} is not a field that can be searched: expected GROUP.FIELD of "
            f"{', '.join(groups)}."
        )
    known = [each.name for each in fields(holder) if f"{group}.{each.name}" not in COMMON]
    if field not in known:
        raise InputError(
            f"space.{name} is not a field of the config: {group} has {', '.join(known)}."
        )
    kind = get_type_hints(type(holder))[field]
    if NoneType in get_args(kind):  # an optional field
        (kind, *more) = (each for each in get_args(kind) if each is not NoneType)
        kind = Any if more else kind
    if kind not in (int, float, bool, str) and get_origin(kind) is not Literal:
        raise InputError(f"space.{name} is neither a number nor a word, so it cannot be searched.")
    return kind


def _typed(name: str, kind: Any, value: Any) -> Any:
    """Return a value in the type of its field. Raises InputError for another type."""
    words = get_args(kind)
    if words:
        value = "off" if value is False and "off" in words else value  # YAML reads off as false
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
    expected = {
        int: "whole numbers", float: "finite numbers", bool: "true or false", str: "words"
    }[kind]  # fmt: skip
    raise InputError(f"space.{name} must have {expected}, but has {value!r}.")
