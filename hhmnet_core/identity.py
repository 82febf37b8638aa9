"""The identity of a config: the values that name a run and decide whether it may resume.

Configs grow. A field that is added after runs have been named is declared with `later`: while it
has the value that stands for the behaviour before, it is no part of the identity, so runs keep
their names; and a record made before the field existed counts as having that value, so runs resume.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import Field, asdict, field, fields, is_dataclass
from typing import Any

JsonObject = dict[str, Any]  # an object as JSON knows it
_BEFORE, _APART = "before", "apart"


def later(default: Any, *, before: Any = None) -> Any:
    """Declare a field that was added to a config after runs had been named by it.

    Args:
        default: The default; a callable is taken for a factory.
        before: The value that reproduces the behaviour from before the field existed, where that
            is not the default. None: the default.
    """
    earlier = before if before is not None else default() if callable(default) else default
    metadata = {_BEFORE: earlier}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def apart(default: Any) -> Any:
    """Declare a field that changes no result but by rounding, and so is no part of an identity."""
    return field(default=default, metadata={_BEFORE: default, _APART: True})


def is_later(each: "Field[Any]") -> bool:
    """Return whether a field was declared with `later` or `apart`."""
    return _BEFORE in each.metadata


def value_before(each: "Field[Any]") -> Any:
    """Return the value that records from before a field of `later` count as having.

    It is a copy: a list belongs to one config alone.
    """
    return deepcopy(each.metadata[_BEFORE])


def identity(config: Any) -> JsonObject:
    """Return a dataclass as nested JSON values, without later fields that change nothing."""
    plain: JsonObject = json.loads(json.dumps(asdict(config)))
    _leave_out_unchanged(config, plain)
    return plain


def flat_identity(config: Any) -> JsonObject:
    """Return the identity of a dataclass by dotted names, such as `optim.lr`."""
    return flattened(identity(config))


def flat_values(config: Any) -> JsonObject:
    """Return every field of a dataclass by dotted names, defaults included."""
    return flattened(json.loads(json.dumps(asdict(config))))


def differing(recorded: Mapping[str, object], config: Any) -> list[str]:
    """Return the dotted names of the fields in which a recorded identity differs from a config.

    A field that the record lacks counts as having its value from before it existed, else its
    default.

    Args:
        recorded: Identity, nested or flat, as this or an earlier version recorded it.
        config: The dataclass to compare with. Its class can be created without arguments.
    """
    then, now = flattened(recorded), flattened(json.loads(json.dumps(_decisive(config))))
    default = flattened(json.loads(json.dumps(_recorded_defaults(type(config)()))))
    return sorted(
        name
        for name in {*then, *now}
        if name not in now or then.get(name, default[name]) != now[name]
    )


def _decisive(config: Any) -> JsonObject:
    """Return a dataclass as nested values, without the fields that are apart."""
    values = {}
    for each in fields(config):
        value = getattr(config, each.name)
        if not _is_apart(each):
            nested = is_dataclass(value) and not isinstance(value, type)
            values[each.name] = _decisive(value) if nested else value
    return values


def _is_apart(each: "Field[Any]") -> bool:
    return _APART in each.metadata


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys and no white space: equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def flattened(nested: Mapping[str, object], prefix: str = "") -> JsonObject:
    """Return nested dictionaries as one, by dotted names. Flat ones stay as they are."""
    flat: JsonObject = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _leave_out_unchanged(config: Any, plain: JsonObject) -> None:
    for each in fields(config):
        value = getattr(config, each.name)
        if _is_apart(each) or (is_later(each) and value == value_before(each)):
            del plain[each.name]
        elif is_dataclass(value):
            _leave_out_unchanged(value, plain[each.name])


def _recorded_defaults(config: Any) -> JsonObject:
    """Return the values that a record counts as having where it lacks fields."""
    defaults = {}
    for each in fields(config):
        value = value_before(each) if is_later(each) else getattr(config, each.name)
        nested = is_dataclass(value) and not isinstance(value, type)
        defaults[each.name] = _recorded_defaults(value) if nested else value
    return defaults
