"""YAML as options and config files hold it."""

import math

import pytest
import yaml

from hhmnet_platform.scripts.yaml_files import load_yaml


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
        ("0x10", 16),
        ("-1_000", -1000),
        ("true", True),
        ("null", None),
        ("[1, a, 2:8]", [1, "a", "2:8"]),
        ("a: {b: 1e3}", {"a": {"b": 1000.0}}),
    ],
)
def test_values(text: str, value: object) -> None:
    found = load_yaml(text)
    assert found == value and type(found) is type(value)


def test_other_readers_of_yaml_are_left_as_they_are() -> None:
    assert yaml.safe_load("2:8") == 128


@pytest.mark.parametrize("text", ["a: [", "!!int x", "a: 1\na: 2", "!!python/name:os.getcwd"])
def test_what_is_no_yaml_of_ours(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
