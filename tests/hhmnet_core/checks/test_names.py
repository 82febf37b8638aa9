"""The rule for names that become a part of a path."""

import os
from pathlib import Path

import pytest

from hhmnet_core.checks.names import check_name, is_name
from hhmnet_core.errors import InputError

USABLE = ["nw_ucla", "12-3", "my data", "it's", 'say "x"', "Übung", "手", "100%", "a*b?", "-x", "~"]
REFUSED = [
    *("", " ", ".", "..", ".hidden", "a/b", "/a", "../a", "a\\b", "memory::a"),
    *("a\0b", "a\nb", "a\x1b[2J", "a\u2028b", "\ud800", "x" * 256, "ü" * 128),
]


@pytest.mark.parametrize("name", USABLE)
def test_usable_name_is_one_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / check_name(name)).mkdir()
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_name_that_leads_elsewhere_or_cannot_be_shown_is_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(InputError, match=r"The study name .* cannot be used: expected") as caught:
        check_name(name, "study name")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 550
