"""JSON and YAML that parsers accept, but that nobody means."""

import json

import pytest
import yaml

from hhmnet_core.checks.parsing import check_yaml, parse_json


def test_good_json_is_read() -> None:
    value = {"a": [1, -(2**63), 2**63 - 1, 1.5, None, "text", {"b": True}]}
    assert parse_json(json.dumps(value)) == value
    assert parse_json(b"3") == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        (b"\xff", "codec can't decode"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is given twice"),
        ("[" * 65 + "]" * 65, "nested more than 64 deep"),
        ("[" * 200_000, "nested more than 64 deep"),
        (str(2**63), "the number 9223372036854775808 has more than 64 bits"),
        ("1" * 5000, "has more than 64 bits"),
    ],
)
def test_json_that_nobody_means_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_json(text)


@pytest.mark.parametrize(
    "text",
    ["", "a: {b: [1, 2]}\nc: 1", "a: &a [1]\nb: *a", "a: &a {b: 1}\nc: {<<: *a, d: 2}", "[a, a]"],
)
def test_good_yaml_passes(text: str) -> None:
    check_yaml(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "did not find expected node content"),
        ("a: &a [*a]", r"a refers to itself \(line 1\)"),
        ("a: &a\n  b: [{c: *a}]", r"a refers to itself \(line 2\)"),
        ("a: 1\nb: {c: 1, c: 2}", r"the key 'c' is given twice \(line 2\)"),
        ("[" * 100_000, "nested more than 64 deep"),
        ("a" * 1_000_001, "has 1000001 bytes, expected at most 1000000"),
        (
            "a0: &a0 [1, 1]\n"
            + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(30)),
            "more than 100000 values",
        ),
    ],
)
def test_yaml_that_nobody_means_is_refused(text: str, message: str) -> None:
    with pytest.raises(yaml.YAMLError, match=message):
        check_yaml(text)
