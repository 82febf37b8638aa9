"""Bounds of the numbers in configs."""

from types import SimpleNamespace

import pytest

from hhmnet_core.checks.bounds import check_bounds
from hhmnet_core.errors import InputError


def test_numbers_within_their_bounds_pass() -> None:
    check_bounds(
        SimpleNamespace(one=1, many=[1, 2.5], none=[]), "", one=(1, 1), many=(1, 3), none=(1, 1)
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "^part.size must be 1 to 8, but is 0.$"),
        (10**40, "must be 1 to 8, but is 1000"),
        (float("nan"), "must be 1 to 8, but is nan"),
        ([1, 9], r"^values of part.size must be 1 to 8, but are \[1, 9\].$"),
        (None, "must be 1 to 8, but is None"),
        ([None], "must be 1 to 8"),
    ],
)
def test_a_number_out_of_bounds_is_named(value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_bounds(SimpleNamespace(size=value), "part.", size=(1, 8))
