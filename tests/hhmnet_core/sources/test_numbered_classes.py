"""Names of numbered classes."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.sources.numbered_classes import MAX_CLASSES, name_classes


def test_classes_are_numbers_or_what_is_given() -> None:
    assert name_classes([0, 2, 2], (), "a") == ("0", "1", "2")
    assert name_classes([0, 1], ("x", "y", "z"), "a") == ("x", "y", "z")


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        ([1, 1], (), "a: all clips have the label 1, expected two classes or more"),
        ([0, MAX_CLASSES], (), "a has the label 100000, expected less than 100000"),
        ([0, 2], ("x", "y"), "a has labels up to 2, but 2 classes are given"),
        ([0, 1], ("x", "x"), "The class 'x' is given twice"),
    ],
)
def test_others_are_refused(labels: list[int], given: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        name_classes(labels, given, "a")
