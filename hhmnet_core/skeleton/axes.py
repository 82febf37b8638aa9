"""The order of the axes of skeleton arrays: M bodies, T frames, V joints, C coordinates.

Files of the field differ: (T, V, C) and (M, T, V, C) here and in PYSKL, (C, T, V, M) in ST-GCN and
mmskeleton, (T, M, V, C) in trackers' output. A shape alone often allows several readings. Those of
all files of a data set together seldom do: V and C are the same in every file.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import Layout

DEFAULT_AXES = {3: "TVC", 4: "MTVC"}
MAX_BODIES = 32  # of one clip; more are frames
_NAMES = {"M": "bodies", "T": "frames", "V": "joints", "C": "coordinates"}
_LIKELY = ("CTVM", "TMVC", "TVMC", "CVT", "CTV", "VTC", "TCV")  # in the order of suggestions

Shape = tuple[int, ...]


def check_axes(axes: str) -> None:
    """Raise InputError unless `axes` names each axis once: T, V, C and, for several bodies, M."""
    if sorted(axes) not in (sorted("TVC"), sorted("MTVC")):
        raise InputError(
            f"axes {axes!r}, expected the letters T (frames), V (joints), C (coordinates) and, for "
            "files of four axes, M (bodies), each once, such as CTVM."
        )


def channel_counts(layout: Layout) -> tuple[int, ...]:
    """Return the sizes that axis C may have: the coordinates and, in 2D, a confidence."""
    return (2, 3) if layout.channels == 2 else (layout.channels,)


def axes_of(shape: Shape, given: str = "") -> str:
    """Return the order in which a file's axes are read: the given one, else the usual one.

    Raises InputError for a shape of another number of axes.
    """
    axes = given or DEFAULT_AXES.get(len(shape), "")
    if len(axes) != len(shape):
        orders = [given] if given else DEFAULT_AXES.values()
        raise InputError(
            f"it has the shape {shape}, expected {' or '.join(map(_letters, orders))}."
        )
    return axes


def check_shapes(shapes: Mapping[str, Shape], layout: Layout) -> None:
    """Check that the files of a data set can be read in the usual order only.

    Args:
        shapes: Shape of each file, by name. Those that do not fit the usual order do not count.
        layout: Layout of the skeletons.

    Raises:
        InputError: Another order is as likely, or likelier. The message names it.
    """
    same = ""
    for rank, axes in sorted(DEFAULT_AXES.items()):
        files = {
            name: shape
            for name, shape in shapes.items()
            if len(shape) == rank and _fits(shape, axes, layout)
        }
        if files:
            _check_order(files, axes, layout, same)
            same = axes  # files of single bodies show where the coordinates of the others are


def _check_order(files: dict[str, Shape], axes: str, layout: Layout, same: str) -> None:
    """Check files of one number of axes.

    Args:
        files: Their shapes, by name.
        axes: The usual order.
        layout: Layout of the skeletons.
        same: Order of all axes but M that other files of the data set have. "": none have.
    """
    shapes = list(set(files.values()))
    others = [
        each
        for each in _other_orders(axes)
        if _is_likely(shapes, each, layout) and (not same or each.replace("M", "") == same)
    ]
    is_likely = _is_likely(shapes, axes, layout)
    if is_likely and not others:
        return
    # Where all files together are unlikely, the ones that are so by themselves are the reason.
    odd = {name: each for name, each in files.items() if not _is_likely([each], axes, layout)}
    name, shape = max((odd or files).items(), key=lambda file: (file[1], file[0]))
    read = f"{name} has the shape {shape}, read as {axes}: {_reading(shape, axes)}"
    if others:
        raise InputError(
            f"{read}. It may be {others[0]}: {_reading(shape, others[0])}. Give --axes {others[0]} "
            f"if it is that, --axes {axes} if it was read right."
        )
    raise InputError(
        f"{read}, which is unusual: give --axes {axes} if it is right, else the order of its axes."
    )


def check_fit(shape: Shape, axes: str, layout: Layout, suggests: bool = True) -> None:
    """Raise InputError unless an array has the layout's joints and coordinates on these axes.

    Args:
        shape: Its shape.
        axes: The order of its axes.
        layout: Layout of the skeletons.
        suggests: Whether the message names an order that would fit.
    """
    if _fits(shape, axes, layout):
        return
    channels = " or ".join(map(str, channel_counts(layout)))
    message = (
        f"it has the shape {shape}, read as {axes}: {_reading(shape, axes)}, but layout "
        f"{layout.name} has {layout.num_joints} joints of {channels} coordinates"
    )
    likely = [each for each in _other_orders(axes) if _is_likely([shape], each, layout)]
    if likely and suggests:
        raise InputError(
            f"{message}. It may be {likely[0]}: {_reading(shape, likely[0])}. Give --axes "
            f"{likely[0]} if it is that."
        )
    raise InputError(f"{message}: give the layout that it was recorded in, or its --axes.")


def _other_orders(axes: str) -> list[str]:
    """Return all other orders of the same axes, likely ones first."""
    orders = ["".join(order) for order in permutations(axes)]
    return sorted(
        (order for order in orders if order != axes),
        key=lambda order: _LIKELY.index(order) if order in _LIKELY else len(_LIKELY),
    )


def _letters(axes: str) -> str:
    return f"({', '.join(axes)})"


def _fits(shape: Shape, axes: str, layout: Layout) -> bool:
    """Return whether a shape has the layout's joints, and coordinates that it may have."""
    joints, channels = (shape[axes.index(letter)] for letter in "VC")
    return joints == layout.num_joints and channels in channel_counts(layout)


def _is_likely(shapes: Sequence[Shape], axes: str, layout: Layout) -> bool:
    """Return whether files in this order would be of one number of coordinates, and be motion."""
    if not all(_fits(shape, axes, layout) for shape in shapes):
        return False
    if len({shape[axes.index("C")] for shape in shapes}) > 1:
        return False
    frames = [shape[axes.index("T")] for shape in shapes]
    bodies = [shape[axes.index("M")] for shape in shapes] if "M" in axes else [1]
    if max(frames) <= 2 or max(bodies) > MAX_BODIES:
        return False
    return "M" not in axes or all(m <= t for m, t in zip(bodies, frames, strict=True))


def _reading(shape: Shape, axes: str) -> str:
    sizes = dict(zip(axes, shape, strict=True))
    return ", ".join(f"{sizes[letter]} {_NAMES[letter]}" for letter in "MTVC" if letter in sizes)


def arrange(array: NDArray[np.float32], axes: str) -> NDArray[np.float32]:
    """Return an array (M, T, V, C) from one whose axes are in the order of `axes`."""
    letters = axes if "M" in axes else f"M{axes}"
    whole = array if "M" in axes else array[None]
    return np.ascontiguousarray(whole.transpose([letters.index(letter) for letter in "MTVC"]))
