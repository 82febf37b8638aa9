"""YAML as options and config files hold it."""

import math

import pytest
import yaml

from hhmnet_platform.scripts.yaml_files import is_number_of_yaml, load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2:8", "2:8"),
        ("10:30:15.5", "10:30:15.5"),
        ("2026-11-30", "2026-11-30"),
        ("1e-3", 0.001),
        ("1.5E3", 1500.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("-.inf", -math.inf),
        ("0x10", "0x10"),
        ("0o7", "0o7"),
        ("010", "010"),
        ("0b1", "0b1"),
        ("-1_000", "-1_000"),
        ("1_0.5", "1_0.5"),
        ("0", 0),
        ("-12", -12),
        ("007.5", 7.5),
        ("true", True),
        ("null", None),
        ("[1, a, 2:8]", [1, "a", "2:8"]),
        ("a: {b: 1e3}", {"a": {"b": 1000.0}}),
    ],
)
def test_values(text: str, value: object) -> None:
    found = load_yaml(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2:8", True),
        ("10:59.5", True),
        ("0x1F", True),
        ("0o17", True),
        ("017", True),
        ("+0b10", True),
        ("1_000", True),
        ("1_000.5e3", True),
        (".5_0", True),
        ("2:8x", False),
        ("2:60", False),
        ("0", False),
        ("0.5", False),
        ("00.5", False),
        ("28", False),
        ("a_1", False),
        (28, False),
    ],
)
def test_numbers_that_only_yaml_reads(text: object, is_one: bool) -> None:
    assert is_number_of_yaml(text) is is_one
    if is_one:
        assert isinstance(load_yaml(str(text)), str)


def test_other_readers_of_yaml_are_left_as_they_are() -> None:
    assert yaml.safe_load("2:8") == 128


@pytest.mark.parametrize("text", ["a: [", "!!int x", "a: 1\na: 2", "!!python/name:os.getcwd"])
def test_what_is_no_yaml_of_ours(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
