"""Fonts for names in any script: those of this machine that have the signs, where there are any."""

from functools import lru_cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

_PLACEHOLDERS = "Last Resort"  # has a sign for every character, and shows none of them


def choose_fonts(figure: Figure) -> set[str]:
    """Give texts with signs that the usual font lacks a further font that has them.

    Returns the signs that no font of this machine has.
    """
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    usual = findfont(FontProperties())
    lacking: set[str] = set()
    for text in texts:
        signs = {sign for sign in text.get_text() if not sign.isspace()} - _signs(usual)
        if signs:
            families, missing = _families(frozenset(signs))
            text.set_fontfamily([*FontProperties().get_family(), *families])
            lacking |= missing
    return lacking


@lru_cache(maxsize=512)
def _families(signs: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Return font families that together have as many of these signs as possible, and the rest."""
    families, left = list[str](), set(signs)
    for font in sorted(fontManager.ttflist, key=lambda font: (font.style != "normal", font.name)):
        if not left:
            break
        if font.name.startswith(_PLACEHOLDERS) or font.name in families:
            continue
        if found := left & _signs(font.fname):
            families.append(font.name)
            left -= found
    return families, frozenset(left)


@lru_cache(maxsize=512)
def _signs(file: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
