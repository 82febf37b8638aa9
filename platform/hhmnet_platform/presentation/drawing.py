"""Figures as PNG images: names are drawn literally, and a figure that fails is left out."""

import io
import textwrap
import warnings
from collections.abc import Callable, Mapping

from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogFormatter

from hhmnet_core.errors import AccessError
from hhmnet_platform.presentation.fonts import choose_fonts

Drawing = Callable[[], Figure | None]
LONGEST_NAME = 60  # characters, of a class or a clip; longer ones leave no room for the figure
LONGEST_REASON = 200
MOST_SIGNS = 20  # that a notice lists
_TOLD: set[str] = set()  # signs that no font has, of which this process has told


def draw_figures(
    drawings: Mapping[str, Drawing], notify: Callable[[str], object] = print
) -> dict[str, bytes]:
    """Draw figures; return PNG images by file name.

    Args:
        drawings: Function that draws each figure, or returns None for none, by file name.
        notify: Function to call with a notice on each figure that cannot be drawn. It is left out.

    Raises AccessError where a file that is drawn cannot be read at present.
    """
    images: dict[str, bytes] = {}
    lacking: set[str] = set()
    for name, draw in drawings.items():
        try:
            if (figure := draw()) is not None:
                lacking |= choose_fonts(figure)
                images[name] = to_png(figure)
        except AccessError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:LONGEST_REASON] or "no reason given"
            notify(
                f"note: the figure {name} could not be drawn and is left out "
                f"({type(error).__name__}: {reason})"
            )
    if lacking := lacking - _TOLD:
        _TOLD.update(lacking)
        notify(
            f"note: no font of this machine has {' '.join(sorted(lacking)[:MOST_SIGNS])}: figures "
            "show boxes instead. Install one, such as Noto Sans CJK."
        )
    return images


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG image. `$` in its texts is a dollar sign, not mathematics."""
    powers = {
        text
        for axis in figure.findobj(Axis)
        if isinstance(axis, Axis) and isinstance(axis.get_major_formatter(), LogFormatter)
        for text in axis.findobj(Text)
    }
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text not in powers:
            text.set_parse_math(False)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of signs that the font lacks
        FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def wrapped_name(name: str, width: int) -> str:
    """Return the name of a class or a clip in at most two lines of some width, cut beyond them."""
    return textwrap.fill(
        " ".join(name.split()), width, max_lines=2, placeholder="…", break_long_words=True
    )


def short_name(name: str) -> str:
    """Return the name of a class or a clip in one line, cut where it is long."""
    line = " ".join(name.split())
    return line if len(line) <= LONGEST_NAME else f"{line[: LONGEST_NAME - 1]}…"
