"""Compiled single pass over the bytes of a `.skeleton` file.

It judges nothing: a file with anything unusual in it (see `scan`) is left to the line-by-line
parser, which reports errors.

Positions count bytes. -1 stands for "failed". Indexing with it finds the zero at the end of the
text, where nothing matches, so a failure is passed on without a check after each step.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

Text = NDArray[np.uint8]
Scan = Callable[[Text, NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]], tuple[int, int]]
Function = TypeVar("Function", bound=Callable[..., object])

_SPACE, _TAB, _RETURN, _NEWLINE = (ord(letter) for letter in " \t\r\n")
_ZERO, _PLUS, _MINUS, _POINT, _SMALL_E, _LARGE_E = (ord(letter) for letter in "0+-.eE")
_MAX_DIGITS = 9  # of a count
# Numbers of this many digits and these powers of ten are exact doubles, so that a single
# multiplication or division rounds as strtod does (Clinger, 1990).
_EXACT_DIGITS = 15
_POWERS_OF_TEN = np.array([float(f"1e{power}") for power in range(23)])
_SCAN_ARGUMENTS = (
    types.Array(types.uint8, 1, "C", readonly=True),
    types.int64[::1],
    types.int64[:, ::1],
    types.float32[:, :, ::1],
)


@njit()
def _skip_blanks(text: Text, at: int) -> int:
    while text[at] == _SPACE or text[at] == _TAB:
        at += 1
    return at


@njit()
def _digits(text: Text, at: int, value: int) -> tuple[int, int]:
    """Append the digits at a position to a number; return it and the position behind them."""
    while True:
        digit = int(np.int64(text[at])) - _ZERO  # a byte would overflow where this is not compiled
        if digit < 0 or digit > 9:
            return value, at
        value = 10 * value + digit
        at += 1


@njit()
def _skip_line_end(text: Text, at: int) -> int:
    """Return the start of the next line; fail unless only blanks are left on this one."""
    at = _skip_blanks(text, at)
    if text[at] == _RETURN:
        at += 1
    return at + 1 if text[at] == _NEWLINE else -1


@njit()
def _skip_fields(text: Text, at: int, fields: int) -> int:
    for _ in range(fields):
        first = at = _skip_blanks(text, at)
        while text[at] > _SPACE:
            at += 1
        if at == first:
            return -1
    return at


@njit()
def _count(text: Text, at: int) -> tuple[int, int]:
    """Return the count that a line consists of, and the start of the next line."""
    first = _skip_blanks(text, at)
    count, end = _digits(text, first, 0)
    if not 0 < end - first <= _MAX_DIGITS:
        return 0, -1
    return count, _skip_line_end(text, end)


@njit()
def _number(text: Text, at: int) -> tuple[float, int]:
    """Return the next field as a number, and the position behind it."""
    at = _skip_blanks(text, at)
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
        if not 0 < at - first <= _MAX_DIGITS:
            return 0.0, -1
        scale += power if shrinks else -power
    if text[at] > _SPACE or abs(scale) >= len(_POWERS_OF_TEN):
        return 0.0, -1
    value = digits / _POWERS_OF_TEN[scale] if scale >= 0 else digits * _POWERS_OF_TEN[-scale]
    return (-value if negative else value), at


def compile_scan(function: Function) -> Function:
    """Compile a function of `scan`'s arguments, cached on disk for other processes if possible."""
    try:
        return cast(Function, njit(_SCAN_ARGUMENTS, cache=True)(function))
    except Exception:  # the cache's folder cannot be written, or holds damaged files
        return cast(Function, njit(_SCAN_ARGUMENTS)(function))


@compile_scan
def scan(
    text: Text,
    frames: NDArray[np.int64],
    ids: NDArray[np.int64],
    values: NDArray[np.float32],
) -> tuple[int, int]:
    """Parse a file into arrays, with one row per body and frame.

    Args:
        text: The file, followed by a zero.
        frames: (R,) output: frame of each row.
        ids: (R, 2) output: start and end of each row's bodyID in `text`.
        values: (R, V, 5) output: x, y, z, colorX, colorY of each row's V joints.

    Returns:
        The numbers of frames and rows, or (-1, -1) if the file is not as the sensor's software
        writes it, a number has no digits or more than 15 (leading zeros count), or the arrays are
        too short.
    """
    num_frames, at = _count(text, 0)
    row = 0
    for frame in range(num_frames):
        bodies, at = _count(text, at)
        for _ in range(bodies):
            if row == len(frames):
                return -1, -1
            frames[row] = frame
            ids[row, 0] = _skip_blanks(text, at)
            ids[row, 1] = _skip_fields(text, at, 1)
            at = _skip_line_end(text, _skip_fields(text, at, 10))
            joints, at = _count(text, at)
            if joints != values.shape[1]:
                return -1, -1
            for joint in range(joints):
                for field in range(3):
                    values[row, joint, field], at = _number(text, at)
                at = _skip_fields(text, at, 2)  # depthX, depthY
                for field in range(3, 5):
                    values[row, joint, field], at = _number(text, at)
                # orientationW, X, Y, Z and trackingState
                at = _skip_line_end(text, _skip_fields(text, at, 5))
            row += 1
        if at < 0:
            return -1, -1
    return (num_frames, row) if at == len(text) - 1 else (-1, -1)
