"""Figures as PNG images: hostile names, and figures that fail."""

import io
import warnings

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from hhmnet_core.errors import AccessError, InputError
from hhmnet_platform.presentation.drawing import draw_figures, short_name, to_png, wrapped_name

HOSTILE = (
    r"a $\frac{1$ half",
    "costs $5 or $6_x^",
    "two\nlines\r\tand more",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd",
    "\U0001f600 waving \U0001f44b\U0001f3fd",
    "long " * 2000,
    "[/red] *bold* <script>alert(1)</script>",
    "\x00\x07\ufffe",
)


def titled(text: str) -> Figure:
    figure = Figure(figsize=(6, 2), layout="constrained")
    axis = figure.subplots()
    axis.set_title(text)
    axis.set_xticks([0, 1], [text, text])
    axis.plot([0, 1], [0, 1], label=text)
    axis.legend()
    return figure


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_any_name_can_be_drawn(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = imread(io.BytesIO(to_png(titled(short_name(name)))))
    assert image.shape[:2] == (200, 600) and image.std() > 0.05


def test_dollars_are_drawn_literally() -> None:
    formula = io.BytesIO()
    titled("$x_2$").savefig(formula)
    formula.seek(0)
    assert (imread(io.BytesIO(to_png(titled("$x_2$")))) != imread(formula)).any()


def test_powers_of_ten_on_an_axis_are_formulas() -> None:
    figure = Figure()
    axis = figure.subplots()
    axis.plot([1, 1000], [1, 2])
    axis.set_xscale("log")
    axis.set_xlabel("cost in $")
    to_png(figure)
    assert any(label.get_parse_math() for label in axis.get_xticklabels())
    assert not axis.xaxis.label.get_parse_math() or axis.get_xlabel().count("$") < 2


def test_long_names_are_cut_and_lines_joined() -> None:
    assert short_name("throw\n an\tobject ") == "throw an object"
    assert short_name("x" * 60) == "x" * 60
    assert short_name("x" * 61) == "x" * 59 + "…"


def fail(error: Exception) -> Figure:
    raise error


def test_figure_that_fails_is_one_notice_and_the_others_are_drawn() -> None:
    notices: list[str] = []
    drawings = {
        "bad.png": lambda: fail(ValueError("no\nroom")),
        "none.png": lambda: None,
        "damaged.png": lambda: fail(InputError("The store is damaged.")),
        "good.png": lambda: titled("good"),
    }
    images = draw_figures(drawings, notices.append)
    assert list(images) == ["good.png"]
    assert notices == [
        "note: the figure bad.png could not be drawn and is left out (ValueError: no room)",
        "note: the figure damaged.png could not be drawn and is left out (InputError: The store is "
        "damaged.)",
    ]


def test_figure_whose_data_cannot_be_read_now_is_not_left_out() -> None:
    with pytest.raises(AccessError):
        draw_figures({"a.png": lambda: fail(AccessError("Cannot read it."))}, pytest.fail)


def test_names_are_wrapped_into_two_lines() -> None:
    assert wrapped_name("pick  up", 24) == "pick up"
    assert wrapped_name("pick up with one hand and go away", 14) == "pick up with\none hand and…"
    assert wrapped_name("x" * 100, 10).count("\n") == 1
