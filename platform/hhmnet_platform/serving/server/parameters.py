"""The parameters of a request's address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hhmnet_core.errors import InputError
from hhmnet_core.passwords import one_line
from hhmnet_core.skeleton.axes import check_axes
from hhmnet_core.skeleton.layouts import LAYOUTS
from hhmnet_core.skeleton.missing import OnMissing
from hhmnet_platform.serving.inputs import MAX_FPS
from hhmnet_platform.serving.recognition import parse_duration
from hhmnet_platform.serving.server.refusals import MALFORMED, RefusalError

_ON_MISSING = ("refuse", "hold", "interpolate")
_YES_NO = {"1": True, "true": True, "0": False, "false": False, "": False}


@dataclass(frozen=True)
class Parameters:
    """The parameters of a request, which are those of `PredictJob` as far as they are there.

    Attributes:
        window: Length of windows. "": the recording is one action.
        stride: Distance from one window to the next. "": half a window.
        layout: Layout of a skeleton file. "": the model's.
        axes: Order of the axes of a skeleton file. "": TVC or MTVC.
        missing: Treatment of missing joints. None: the default of the file's kind.
        fps: Frames per second of a skeleton file. None: unknown.
        skeleton: Whether the answer holds the joints, for drawing.
        name: Name of a file that is the body. "": that of the header Content-Disposition.
    """

    window: str = ""
    stride: str = ""
    layout: str = ""
    axes: str = ""
    missing: OnMissing | None = None
    fps: float | None = None
    skeleton: bool = False
    name: str = ""


def parse_parameters(query: Mapping[str, str]) -> Parameters:
    """Return the parameters of an address.

    Raises:
        RefusalError: An unknown one, or a value that it cannot have.
    """
    known = Parameters.__dataclass_fields__
    if unknown := [name for name in query if name not in known]:
        raise RefusalError(
            MALFORMED, f"Unknown parameter {unknown[0][:40]!r}; known are {', '.join(known)}."
        )
    values: dict[str, Any] = dict(query)
    if "fps" in values:
        values["fps"] = _frame_rate(values["fps"])
    if "skeleton" in values:
        values["skeleton"] = _one_of("skeleton", values["skeleton"], _YES_NO)
    if values.get("missing") is not None:
        values["missing"] = _one_of("missing", values["missing"], {v: v for v in _ON_MISSING})
    check_layout(values.get("layout", ""))
    try:
        if values.get("axes"):
            check_axes(values["axes"])
        for name in ("window", "stride"):
            if values.get(name):
                parse_duration(values[name], 1.0, name)
    except InputError as error:
        raise RefusalError(MALFORMED, one_line(error)) from error
    if values.get("stride") and not values.get("window"):
        raise RefusalError(MALFORMED, "stride needs window, the length of the windows.")
    return Parameters(**values)


def check_layout(name: str) -> None:
    """Raise RefusalError for a name that is no built-in layout, such as the path of a YAML file."""
    if name and name not in LAYOUTS:
        raise RefusalError(
            MALFORMED, f"Unknown skeleton layout {name[:40]!r}; known are {', '.join(LAYOUTS)}."
        )


def _frame_rate(text: str) -> float:
    try:
        fps = float(text)
    except ValueError:
        fps = -1.0
    if not 0 < fps <= MAX_FPS:
        raise RefusalError(
            MALFORMED, f"fps is {text[:40]!r}, expected a number above 0, to {MAX_FPS}."
        )
    return fps


def _one_of(name: str, text: str, values: Mapping[str, Any]) -> Any:
    if text.lower() not in values:
        known = ", ".join(value for value in values if value)
        raise RefusalError(MALFORMED, f"{name} is {text[:40]!r}, expected one of {known}.")
    return values[text.lower()]
