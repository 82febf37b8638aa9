"""The identity of a config: the values that name a run and decide whether it may resume.

Configs grow. A field that is added after runs have been named is declared with `later`: while it
has its default it is no part of the identity, so runs keep their names; and a record made before it
existed counts as having that default, so runs resume.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, field, fields, is_dataclass
from typing import Any

JsonObject = dict[str, Any]  # an object as JSON knows it
_LATER = "later"


def later(default: Any) -> Any:
    """Declare a field that was added to a config after runs had been named by it.

    Args:
        default: The value that reproduces the behaviour from before the field existed; a callable
            is taken for a factory.
    """
    metadata = {_LATER: True}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def identity(config: Any) -> JsonObject:
    """Return a dataclass as nested JSON values, without later fields that have their default."""
    plain: JsonObject = json.loads(json.dumps(asdict(config)))
    _leave_out_defaults(config, plain)
    return plain


def flat_identity(config: Any) -> JsonObject:
    """Return the identity of a dataclass by dotted names, such as `optim.lr`."""
    return flattened(identity(config))


def flat_values(config: Any) -> JsonObject:
    """Return every field of a dataclass by dotted names, defaults included."""
    return flattened(json.loads(json.dumps(asdict(config))))


def differing(recorded: Mapping[str, object], config: Any) -> list[str]:
    """Return the dotted names of the fields in which a recorded identity differs from a config.

    A field that the record lacks counts as having its default.

    Args:
        recorded: Identity, nested or flat, as this or an earlier version recorded it.
        config: The dataclass to compare with. Its class can be created without arguments.
    """
    then, now = flattened(recorded), flattened(json.loads(json.dumps(asdict(config))))
    default = flattened(json.loads(json.dumps(asdict(type(config)()))))
    return sorted(
        name
        for name in {*then, *now}
        if name not in now or then.get(name, default[name]) != now[name]
    )


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


def _leave_out_defaults(config: Any, plain: JsonObject) -> None:
    for each in fields(config):
        value = getattr(config, each.name)
        if each.metadata.get(_LATER):
            default = each.default_factory() if callable(each.default_factory) else each.default
            if value == default:
                del plain[each.name]
                continue
        if is_dataclass(value):
            _leave_out_defaults(value, plain[each.name])
