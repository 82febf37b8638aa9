"""One pass over the bytes of a `.skeleton` file, compiled.

Nothing is judged here: a file with anything unusual in it (see `scan`) is left to be read line by
line, which says what is wrong with it.

Positions count bytes. -1 stands for none, and is that of the zero at a text's end, where nothing is
found: so it is handed on, and need not be asked for at each step.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

Text = NDArray[np.uint8]
Function = TypeVar("Function", bound=Callable[..., object])

_SPACE, _TAB, _RETURN, _NEWLINE = (ord(letter) for letter in " \t\r\n")
_ZERO, _PLUS, _MINUS, _POINT, _SMALL_E, _LARGE_E = (ord(letter) for letter in "0+-.eE")
_MOST_DIGITS = 9  # of a count
# A number of so many digits, and these powers of ten, are doubles without an error, so that the
# one multiplication or division rounds as strtod does (Clinger, 1990).
_EXACT_DIGITS = 15
_TENS = np.array([float(f"1e{power}") for power in range(23)])
_TAKEN = (
    types.Array(types.uint8, 1, "C", readonly=True),
    types.int64[::1],
    types.int64[:, ::1],
    types.float32[:, :, ::1],
)


@njit()
def _behind_blanks(text: Text, at: int) -> int:
    while text[at] == _SPACE or text[at] == _TAB:
        at += 1
    return at


@njit()
def _digits(text: Text, at: int, value: int) -> tuple[int, int]:
    """A number with the digits that follow put behind it, and where they end."""
    while True:
        digit = int(np.int64(text[at])) - _ZERO  # uncompiled too no byte, which overflows
        if digit < 0 or digit > 9:
            return value, at
        value = 10 * value + digit
        at += 1


@njit()
def _behind_line(text: Text, at: int) -> int:
    """Behind the end of the line, if nothing but blanks is left of it."""
    at = _behind_blanks(text, at)
    if text[at] == _RETURN:
        at += 1
    return at + 1 if text[at] == _NEWLINE else -1


@njit()
def _behind_fields(text: Text, at: int, fields: int) -> int:
    for _ in range(fields):
        first = at = _behind_blanks(text, at)
        while text[at] > _SPACE:
            at += 1
        if at == first:
            return -1
    return at


@njit()
def _count(text: Text, at: int) -> tuple[int, int]:
    """The count that a line is, and where the next line starts."""
    first = _behind_blanks(text, at)
    count, end = _digits(text, first, 0)
    if not 0 < end - first <= _MOST_DIGITS:
        return 0, -1
    return count, _behind_line(text, end)


@njit()
def _number(text: Text, at: int) -> tuple[float, int]:
    """The next field as a number, and where it ends."""
    at = _behind_blanks(text, at)
    negative = text[at] == _MINUS
    first = at + negative
    digits, at = _digits(text, first, 0)
    number, scale = at - first, 0
    if text[at] == _POINT:
        point = at
        digits, at = _digits(text, point + 1, digits)
        scale = at - point - 1
        number += scale
    if not 0 < number <= _EXACT_DIGITS:
        return 0.0, -1
    if text[at] == _SMALL_E or text[at] == _LARGE_E:
        shrinks = text[at + 1] == _MINUS
        first = at + 1 + (shrinks or text[at + 1] == _PLUS)
        power, at = _digits(text, first, 0)
        if not 0 < at - first <= _MOST_DIGITS:
            return 0.0, -1
        scale += power if shrinks else -power
    if text[at] > _SPACE or abs(scale) >= len(_TENS):
        return 0.0, -1
    value = digits / _TENS[scale] if scale >= 0 else digits * _TENS[-scale]
    return (-value if negative else value), at


def _kept(function: Function) -> Function:
    """Compiled for what `scan` takes, and kept for other processes where that can be done."""
    try:
        return cast(Function, njit(_TAKEN, cache=True)(function))
    except Exception:  # no folder that can be written, or one that holds something damaged
        return cast(Function, njit(_TAKEN)(function))


@_kept
def scan(
    text: Text,
    frames: NDArray[np.int64],
    ids: NDArray[np.int64],
    values: NDArray[np.float32],
) -> tuple[int, int]:
    """Fills the arrays, a row for each body of each frame.

    Args:
        text: The file, and a zero behind it.
        frames: (R,) takes the frame of each row.
        ids: (R, 2) takes where its bodyID starts and ends.
        values: (R, V, 5) takes x, y, z, colorX, colorY of its V joints.

    Returns:
        The numbers of frames and of rows; twice -1 where something is not as the sensor's software
        writes it, a number of no digits or more than 15 (zeros in front count), or where the arrays
        are too short.
    """
    num_frames, at = _count(text, 0)
    row = 0
    for frame in range(num_frames):
        bodies, at = _count(text, at)
        for _ in range(bodies):
            if row == len(frames):
                return -1, -1
            frames[row] = frame
            ids[row, 0] = _behind_blanks(text, at)
            ids[row, 1] = _behind_fields(text, at, 1)
            at = _behind_line(text, _behind_fields(text, at, 10))
            joints, at = _count(text, at)
            if joints != values.shape[1]:
                return -1, -1
            for joint in range(joints):
                for field in range(3):
                    values[row, joint, field], at = _number(text, at)
                at = _behind_fields(text, at, 2)  # depthX, depthY
                for field in range(3, 5):
                    values[row, joint, field], at = _number(text, at)
                # The orientation's four, and trackingState.
                at = _behind_line(text, _behind_fields(text, at, 5))
            row += 1
        if at < 0:
            return -1, -1
    return (num_frames, row) if at == len(text) - 1 else (-1, -1)
