"""Dataclasses from JSON values: what was written is read, and what does not fit is named."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json


@dataclass
class Shape:
    pairs: list[tuple[int, int]] = field(default_factory=list)
    sizes: tuple[float, ...] = ()
    name: str | None = None


@dataclass
class Record:
    seed: int
    rate: float = 0.1
    mode: Literal["on", "off"] = "on"
    is_last: bool = False
    workers: int | str | None = None
    shape: Shape = field(default_factory=Shape)
    shapes: dict[str, Shape] = field(default_factory=dict)
    anything: dict[str, Any] = field(default_factory=dict)


def test_record_is_read_as_it_was_written() -> None:
    record = Record(
        4, 0.2, "off", True, "1:4", Shape([(3, 1), (5, 2)], (0.5, 1.0), "a"), {"b": Shape()},
        {"c": [1, None]},
    )  # fmt: skip
    assert from_json(Record, json.loads(json.dumps(asdict(record)))) == record


def test_fields_that_the_values_lack_take_their_defaults() -> None:
    assert from_json(Record, {"seed": 1, "shape": {"name": "b"}}) == Record(
        1, shape=Shape(name="b")
    )


def test_whole_number_is_a_float_and_stays_whole() -> None:
    assert repr(from_json(Record, {"seed": 1, "rate": 2}).rate) == "2"


def test_values_of_unknown_fields_are_named() -> None:
    with pytest.raises(InputError, match=r"Record has no field gone, old: the values were"):
        from_json(Record, {"old": 1, "seed": 2, "gone": 3})
    with pytest.raises(InputError, match=r"Shape has no field shape\.width: "):
        from_json(Record, {"seed": 1, "shape": {"width": 3}})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": "1"}, r"seed is '1', expected int\."),
        ({"seed": True}, r"seed is True, expected int\."),
        ({"seed": 1.5}, r"seed is 1\.5, expected int\."),
        ({"seed": None}, r"seed is None, expected int\."),
        ({"rate": "x"}, r"rate is 'x', expected float\."),
        ({"is_last": 1}, r"is_last is 1, expected bool\."),
        ({"mode": "maybe"}, r"mode is 'maybe', expected .*'on', 'off'"),
        ({"workers": [1]}, r"workers is \[1\], expected str\."),
        ({"shape": []}, r"shape is \[\], expected an object\."),
        ({"shape": {"sizes": 1}}, r"shape\.sizes is 1, expected tuple\[float"),
        ({"shape": {"pairs": [[1, 2, 3]]}}, r"shape\.pairs is \[1, 2, 3\], expected tuple"),
        ({"shapes": {"b": {"name": 1}}}, r"shapes\.b\.name is 1, expected str\."),
        ({"shapes": []}, r"shapes is \[\], expected dict"),
        ({"anything": 1}, r"anything is 1, expected dict"),
    ],
)
def test_value_of_another_type_is_named_with_its_path(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        from_json(Record, {"seed": 1} | changed)


@pytest.mark.parametrize(
    ("values", "message"), [({}, "Record lacks seed"), ([], r"Record is \[\]")]
)
def test_what_is_no_record_is_named(values: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_json(Record, values)
