"""Dataclasses from JSON values, each checked against the type of its field."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from hhmnet_core.errors import InputError
from hhmnet_core.identity import is_later, value_before

Record = TypeVar("Record")


def from_json(kind: type[Record], values: Mapping[str, Any], path: str = "") -> Record:
    """Return a dataclass from nested JSON values, such as `dataclasses.asdict` returned.

    Fields that the values lack take their defaults, those declared with `identity.later` the value
    from before they existed. A whole number is a float too.

    Args:
        kind: The dataclass; its fields may be dataclasses, and lists, tuples or dictionaries of
            them.
        values: Nested values.
        path: Dotted name of the values within larger ones, for messages.

    Raises:
        InputError: A field that the dataclass does not have, one without a default that is
            missing, or a value of another type.
    """
    name = path or kind.__name__
    if not isinstance(values, Mapping):
        raise InputError(f"{name} is {values!r}, expected an object.")
    prefix, known = f"{path}." if path else "", fields(kind)  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - {each.name for each in known}):
        raise InputError(
            f"{kind.__name__} has no field {', '.join(prefix + field for field in unknown)}: the "
            "values were written by another version; use that version, or remove them."
        )
    for each in known:
        has_default = each.default is not MISSING or each.default_factory is not MISSING
        if each.name not in values and not has_default:
            raise InputError(f"{name} lacks {each.name}.")
    hints = get_type_hints(kind)
    earlier = {each.name: value_before(each) for each in known if is_later(each)}
    given = {field: _typed(hints[field], value, prefix + field) for field, value in values.items()}
    return kind(**(earlier | given))


def _typed(hint: Any, value: Any, path: str) -> Any:
    """Return a JSON value as a field's type wants it."""
    if hint is Any or hint is object:
        return value
    if is_dataclass(hint):
        return from_json(hint, value, path)  # type: ignore[arg-type]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _one_of(arguments, value, path)
    if origin is Literal and value in arguments:
        return value
    if origin is list and isinstance(value, list):
        return [_typed(arguments[0], item, path) for item in value]
    if origin is tuple and isinstance(value, list):
        hints = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(hints) == len(value):
            return tuple(_typed(each, item, path) for each, item in zip(hints, value, strict=True))
    if origin is dict and isinstance(value, dict):
        return {key: _typed(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(hint, type) and _is_plain(hint, value):
        return value
    raise InputError(f"{path} is {value!r}, expected {_described(hint)}.")


def _one_of(hints: tuple[Any, ...], value: Any, path: str) -> Any:
    """Return a value as the first of several types that accepts it."""
    if value is None and NoneType in hints:
        return None
    others = [hint for hint in hints if hint is not NoneType]
    for hint in others[:-1]:
        try:
            return _typed(hint, value, path)
        except InputError:
            continue
    return _typed(others[-1], value, path)


def _is_plain(hint: type, value: Any) -> bool:
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _described(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
