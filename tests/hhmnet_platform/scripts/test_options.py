"""The options of dataclasses and functions."""

from dataclasses import MISSING, dataclass, field
from typing import Any, Literal

import pytest

from hhmnet_platform.scripts.options import example, expected, options_of, placeholder


@dataclass
class Inner:
    """Inner.

    Attributes:
        rate: Rate.
    """

    rate: float = 0.5


@dataclass
class Base:
    """Base.

    Attributes:
        name: Name, which may
            take two lines.
    """

    name: str = ""


@dataclass
class Whole(Base):
    """Whole.

    Attributes:
        inner: Inner part.
        count: Count of things.
    """

    inner: Inner = field(default_factory=lambda: Inner(rate=0.25))
    count: int | None = None


def test_nested_fields_have_dotted_names_the_owners_defaults_and_inherited_texts() -> None:
    options = options_of(Whole)
    assert list(options.by_name) == ["name", "inner.rate", "count"]
    assert options.groups == {"inner"} and options.has_config
    assert options.by_name["name"].text == "Name, which may take two lines."
    assert options.by_name["inner.rate"].default == 0.25
    assert options.of_group("inner") == [options.by_name["inner.rate"]]


def make(store: str, inner: Inner = Inner(), workers: int | None = None) -> None:  # noqa: B008
    """Make a store.

    Args:
        store: Store to write.
        inner: Inner part.
        workers: Number of processes.
    """


def test_arguments_of_a_function_without_default_are_required() -> None:
    options = options_of(make)
    assert list(options.by_name) == ["store", "inner.rate", "workers"]
    assert options.by_name["store"].default is MISSING
    assert options.by_name["store"].text == "Store to write."
    assert not options.has_config


@dataclass
class Kinds:
    """All kinds."""

    a: bool = False
    b: bool | None = None
    c: int | str | None = None
    d: Literal["x", "y", "z"] = "x"
    e: list[str] = field(default_factory=list)
    f: list[dict[str, Any]] | None = None
    g: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("name", "words", "stands"),
    [
        ("a", "true or false", "[true|false]"),
        ("b", "true or false or null", "[true|false]"),
        ("c", "a whole number, text or null", "N|TEXT"),
        ("d", "x, y or z", "x|y|z"),
        ("e", "a list of texts", "TEXT ..."),
        ("f", "a list of mappings such as {name: value} or null", "{NAME: VALUE} ..."),
        ("g", "a mapping such as {name: value}", "{NAME: VALUE}"),
    ],
)
def test_types_are_told_in_words(name: str, words: str, stands: str) -> None:
    option = options_of(Kinds).by_name[name]
    assert (expected(option), placeholder(option)) == (words, stands)


def test_lists_have_examples_that_can_be_pasted() -> None:
    options = options_of(Kinds).by_name
    assert example(options["e"]) == "--e A B"
    assert example(options["e"], in_file=True) == "e: [A, B]"
    assert [example(options[name]) for name in "abcdfg"] == [""] * 6
