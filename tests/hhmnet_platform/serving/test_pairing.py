"""Classes of a store paired with those of a model."""

from pathlib import Path

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.serving.pairing import pair_classes, read_class_map

STORE, MODEL = ("Sit_Down", "wave", "jump"), ("waving", "sit down", "walk")


def test_names_pair_whatever_their_case_and_blanks() -> None:
    assert pair_classes(STORE, MODEL, {}) == {0: 1}


def test_given_pairs_come_before_names() -> None:
    assert pair_classes(STORE, MODEL, {"wave": "waving", "Sit_Down": "walk"}) == {0: 2, 1: 0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"run": "walk"}, "'run', which is no class of the store"),
        ({"wave": "run"}, "'run', which is no class of the model"),
    ],
)
def test_given_names_must_exist(given: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pair_classes(STORE, MODEL, given)


def test_without_a_pair_nothing_can_be_tested() -> None:
    with pytest.raises(InputError, match="share no class name"):
        pair_classes(("a", "b"), MODEL, {})


def test_a_class_map_is_read(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text("wave: waving\n'1': walk\n010: 1_0\n")
    assert read_class_map(str(file)) == {"wave": "waving", "1": "walk", "010": "1_0"}


@pytest.mark.parametrize("text", ["", "- wave", "wave: [a]", "1: walk", "a: b: c", "a: &x [*x]"])
def test_files_that_are_no_class_maps(text: str, tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(text)
    with pytest.raises(InputError):
        read_class_map(str(file))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no class map at"):
        read_class_map(str(tmp_path / "map.yaml"))
