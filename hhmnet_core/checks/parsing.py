"""JSON and YAML that people or other versions wrote, checked for what their parsers let pass.

Refused are a key given twice, of which parsers keep the last; nesting beyond `MAX_DEPTH`, on which
recursive code fails; whole numbers beyond 64 bits; and YAML that refers to itself, grows without
bound by references, or holds a zero byte, with which no path can be opened.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 64
MAX_YAML_BYTES = 1_000_000
MAX_YAML_VALUES = 100_000  # references counted as what they refer to
MAX_DIGITS = 18  # of a whole number that fits 64 bits, whatever its digits
_INT64_DIGITS = len(str(-(2**63)))


def is_whole_number(text: str) -> bool:
    """Return whether a text is a whole number from 0 that fits 64 bits."""
    return text.isdecimal() and len(text) <= MAX_DIGITS


def parse_json(content: bytes | str) -> Any:
    """Return the value of a JSON text. Raises ValueError where it is none, or one refused above."""
    try:
        value = json.loads(content, object_pairs_hook=_object, parse_int=_int64)
    except RecursionError:
        value = None
        depth = MAX_DEPTH + 1
    else:
        depth = sum(1 for _ in _levels(value))
    if depth > MAX_DEPTH:
        raise ValueError(f"lists and objects are nested more than {MAX_DEPTH} deep")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in values if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} is given twice")
    return values


def _int64(digits: str) -> int:
    if len(digits) > _INT64_DIGITS or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"the number {digits[:24]} has more than 64 bits")
    return int(digits)


def _levels(value: Any) -> Iterator[list[Any]]:
    """Yield the lists and objects at each depth, without recursion."""
    level = [value] if isinstance(value, (list, dict)) else []
    while level:
        yield level
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, (list, dict))
        ]


@dataclass
class _Collection:
    """A list or mapping of a YAML text that has begun.

    Attributes:
        anchor: Its name for references. None for none.
        is_mapping: Whether it is a mapping.
        values: Number of values in it so far, itself included.
        items: Number of its own keys and values so far.
        keys: Its keys so far.
    """

    anchor: str | None
    is_mapping: bool
    values: int = 1
    items: int = 0
    keys: set[str] = field(default_factory=set)


def check_yaml(text: str | bytes) -> None:
    """Check a YAML text before it is loaded.

    Raises:
        yaml.YAMLError: Not YAML, more than `MAX_YAML_BYTES`, or one refused above.
    """
    try:
        text = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise yaml.YAMLError(f"it is not text in UTF-8 ({error.reason})") from error
    if len(text) > MAX_YAML_BYTES:
        raise yaml.YAMLError(f"it has {len(text)} bytes, expected at most {MAX_YAML_BYTES}")
    opened: list[_Collection] = []
    sizes: dict[str, int] = {}  # number of values by anchor
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            _count_item(opened, None, event)
            opened.append(_Collection(event.anchor, isinstance(event, yaml.MappingStartEvent)))
            if len(opened) > MAX_DEPTH:
                raise _yaml_error(f"it is nested more than {MAX_DEPTH} deep", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            ended = opened.pop()
            size = ended.values
            if ended.anchor:
                sizes[ended.anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            if any(each.anchor == event.anchor for each in opened):
                raise _yaml_error(f"{event.anchor} refers to itself", event)
            _count_item(opened, None, event)
            size = sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            if "\0" in event.value:
                raise _yaml_error("it holds a zero byte", event)
            _count_item(opened, event.value, event)
            size = 1
        if opened:
            opened[-1].values += size
            if opened[-1].values > MAX_YAML_VALUES:
                raise _yaml_error(f"it has more than {MAX_YAML_VALUES} values", event)


def _count_item(opened: list[_Collection], scalar: str | None, event: yaml.Event) -> None:
    """Count a key or value of the innermost collection, and refuse a key that it already has."""
    if not opened:
        return
    parent = opened[-1]
    is_key = parent.is_mapping and parent.items % 2 == 0
    parent.items += 1
    if is_key and scalar is not None:
        if scalar in parent.keys:
            raise _yaml_error(f"the key {scalar[:80]!r} is given twice", event)
        parent.keys.add(scalar)


def _yaml_error(problem: str, event: yaml.Event) -> yaml.YAMLError:
    mark: Any = event.start_mark
    return yaml.YAMLError(f"{problem} (line {mark.line + 1})")
