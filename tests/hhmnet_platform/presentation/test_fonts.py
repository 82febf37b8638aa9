"""Fonts for scripts that the usual one lacks."""

from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, findfont
from pytest import MonkeyPatch

from hhmnet_platform.presentation import drawing, fonts


def titled(text: str) -> Figure:
    figure = Figure()
    figure.suptitle(text)
    return figure


def test_signs_that_no_font_has_are_told_once(monkeypatch: MonkeyPatch) -> None:
    usual = FontEntry(fname=findfont("DejaVu Sans"), name="DejaVu Sans")
    monkeypatch.setattr(fonts.fontManager, "ttflist", [usual])
    monkeypatch.setattr(drawing, "_TOLD", set())
    fonts._families.cache_clear()
    notices: list[str] = []
    drawings = {"a.png": lambda: titled("挥手"), "b.png": lambda: titled("手 wave Ü $x$")}
    assert list(drawing.draw_figures(drawings, notices.append)) == ["a.png", "b.png"]
    assert notices == [
        "note: no font of this machine has 手 挥: figures show boxes instead. Install one, such as "
        "Noto Sans CJK."
    ]
    assert drawing.draw_figures(drawings, notices.append) and len(notices) == 1
    fonts._families.cache_clear()


def test_font_that_has_the_signs_is_taken(monkeypatch: MonkeyPatch) -> None:
    usual, other = findfont("DejaVu Sans"), findfont("STIXGeneral")
    monkeypatch.setattr(
        fonts, "_signs", lambda file: frozenset("手") if file == other else frozenset("ab")
    )
    entries = [
        FontEntry(fname=usual, name="DejaVu Sans"),
        FontEntry(fname=other, name="STIXGeneral"),
    ]
    monkeypatch.setattr(fonts.fontManager, "ttflist", entries)
    fonts._families.cache_clear()
    figure = titled("a手b")
    assert fonts.choose_fonts(figure) == set()
    (text,) = [each for each in figure.findobj() if getattr(each, "_text", "") == "a手b"]
    assert text.get_fontfamily()[-1] == "STIXGeneral"
    fonts._families.cache_clear()
