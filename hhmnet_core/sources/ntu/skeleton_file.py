"""Kinect v2 `.skeleton` files, the format in which NTU RGB+D is published.

A file holds, line by line: the number of frames; per frame the number of bodies; per body a line
`bodyID clippedEdges handLeftConfidence handLeftState handRightConfidence handRightState
isRestricted leanX leanY trackingState`, the number of joints (25), and per joint a line
`x y z depthX depthY colorX colorY orientationW orientationX orientationY orientationZ
trackingState`. x, y, z are metres from the camera (x right, y up, z away); colorX and colorY are
pixels of the 1920 x 1080 colour image.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.errors import InputError

if TYPE_CHECKING:
    from hhmnet_core.sources.ntu.skeleton_scan import Scan

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
KEPT_FIELDS = (0, 1, 2, 5, 6)  # of a joint: x, y, z, colorX, colorY
BODY_LINES = 2 + JOINTS  # a body's own, the number of its joints, and theirs
_MAX_DIGITS = 9  # of a count; Python refuses to parse thousands
# Spellings of the recorder's C library that float() does not know.
_SPECIAL_NUMBERS = {
    **dict.fromkeys(
        ("-nan(ind)", "nan(ind)", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND"), float("nan")
    ),
    "1.#INF": float("inf"),
    "-1.#INF": float("-inf"),
}


@dataclass(frozen=True)
class Poses:
    """The content of a file, with R rows: one per body and frame.

    Attributes:
        num_frames: Number of frames of the recording, including those without a body.
        frames: (R,) frame of each row, rising.
        ids: bodyID of each row.
        values: (R, 25, 5) float32, the fields `KEPT_FIELDS`.
    """

    num_frames: int
    frames: NDArray[np.int64]
    ids: list[bytes]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Body:
    """One track of the sensor; a person may have several, one after the other.

    Attributes:
        frames: (F,) frames of the recording in which the body appears, rising.
        joints: (F, 25, 3) float32, metres.
        pixels: (F, 25, 2) float32, pixels of the colour image.
    """

    frames: NDArray[np.int64]
    joints: NDArray[np.float32]
    pixels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, mask: NDArray[np.bool_]) -> "Body":
        """Return the body in the frames where `mask` (F,) is true."""
        return Body(self.frames[mask], self.joints[mask], self.pixels[mask])


@dataclass(frozen=True)
class Recording:
    """A parsed file: its number of frames, and its bodies in the order of their first frames."""

    num_frames: int
    bodies: tuple[Body, ...]


def parse_skeleton(content: bytes, where: str) -> Recording:
    """Parse a `.skeleton` file; NaN and infinite values are kept.

    Args:
        content: The file.
        where: Its name, for messages.

    Raises:
        InputError: Not such a file, cut off, or with other than 25 joints; the message names file
            and line.
    """
    poses = parse_compiled(content) or parse_lines(content, where)
    rows_of_body: dict[bytes, list[int]] = {}
    for row, body in enumerate(poses.ids):
        rows_of_body.setdefault(body, []).append(row)
    bodies = []
    for rows in rows_of_body.values():
        frames = poses.frames[rows]
        repeated = np.flatnonzero(frames[1:] == frames[:-1])
        if len(repeated):
            row = rows[int(repeated[0]) + 1]
            line = int(poses.frames[row]) + 2 + BODY_LINES * row
            raise _Lines(content, where).error(line, "another bodyID than this frame's first")
        values = poses.values[rows]
        bodies.append(Body(frames, values[..., :3], values[..., 3:]))
    return Recording(poses.num_frames, tuple(bodies))


@cache
def compiled_scan() -> "Scan | None":
    """Return the compiled scan. None where Numba, of the extra `ntu`, cannot be imported."""
    try:
        from hhmnet_core.sources.ntu.skeleton_scan import scan  # half a second
    except ImportError:  # also of a Numba that is too old for this NumPy
        return None
    return scan


def parse_compiled(content: bytes) -> Poses | None:
    """Parse a file that is written as the sensor's software writes it.

    Returns None for any other file, and where there is no compiled scan.
    """
    scan = compiled_scan()
    if scan is None:
        return None
    shortest = JOINTS * JOINT_FIELDS * len("0 ")
    max_rows = len(content) // shortest + 1
    frames, ids = np.empty(max_rows, np.int64), np.empty((max_rows, 2), np.int64)
    values = np.empty((max_rows, JOINTS, len(KEPT_FIELDS)), np.float32)
    text = np.frombuffer(content + b"\0", np.uint8)
    num_frames, rows = scan(text, frames, ids, values)
    if num_frames <= 0:
        return None
    bounds = ids[:rows].tolist()
    return Poses(num_frames, frames[:rows], [content[a:b] for a, b in bounds], values[:rows])


def parse_lines(content: bytes, where: str) -> Poses:
    """Parse a file line by line, in any spelling; raises as `parse_skeleton` does."""
    lines = _Lines(content, where)
    num_frames = lines.count(0, "the number of frames")
    if not num_frames:
        raise InputError(f"{where}, line 1: the recording has 0 frames; leave it out.")
    frames: list[int] = []
    ids: list[bytes] = []
    joint_lines: list[int] = []
    line = 1
    for frame in range(num_frames):
        num_bodies = lines.count(line, "the number of bodies")
        line += 1
        for _ in range(num_bodies):
            ids.append(lines.body_id(line))
            frames.append(frame)
            joint_lines += range(line + 2, line + BODY_LINES)
            line += BODY_LINES
            if line > len(lines):
                raise lines.error(len(lines), "a joint's 12 numbers")
    if line < len(lines):
        raise lines.error(line, f"the end, behind {num_frames} frames")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite
        values = np.array([lines.joint(number) for number in joint_lines], dtype=np.float32)
    rows = values.reshape(len(ids), JOINTS, len(KEPT_FIELDS))
    return Poses(num_frames, np.array(frames, dtype=np.int64), ids, rows)


class _Lines:
    """The lines of a file, counted from 0."""

    def __init__(self, content: bytes, where: str) -> None:
        self.where = where
        self.lines = content.split(b"\n")
        while self.lines and not self.lines[-1].strip():
            self.lines.pop()

    def __len__(self) -> int:
        return len(self.lines)

    def count(self, number: int, what: str) -> int:
        """Return the count that a line consists of."""
        digits = self.lines[number].strip() if number < len(self) else b""
        if not digits.isdigit() or len(digits) > _MAX_DIGITS:
            raise self.error(number, what)
        return int(digits)

    def body_id(self, number: int) -> bytes:
        """Return the bodyID of a body's line, after checking its number of joints."""
        fields = self.lines[number].split() if number < len(self) else []
        if len(fields) != BODY_FIELDS:
            raise self.error(number, f"a body's {BODY_FIELDS} fields")
        if self.count(number + 1, "the number of joints") != JOINTS:
            raise self.error(number + 1, f"{JOINTS} joints")
        return fields[0]

    def joint(self, number: int) -> list[float]:
        """Return the kept fields of a joint's line."""
        fields = self.lines[number].split()
        try:
            if len(fields) != JOINT_FIELDS:
                raise ValueError
            return [_parse_number(fields[column]) for column in KEPT_FIELDS]
        except ValueError:
            raise self.error(number, "a joint's 12 numbers") from None

    def error(self, number: int, expected: str) -> InputError:
        """Return the error for a line that is not as expected."""
        where = f"{self.where}, line {number + 1}"
        if number >= len(self):
            return InputError(
                f"{where}: the file ends here, expected {expected}: it is cut off; get it again."
            )
        text = self.lines[number].rstrip()[:60].decode("latin-1")
        return InputError(f"{where}: {text!r}, expected {expected}.")


def _parse_number(field: bytes) -> float:
    word = field.decode("latin-1")
    if "_" in word:  # Python reads 1_0 as 10
        raise ValueError
    return _SPECIAL_NUMBERS[word] if word in _SPECIAL_NUMBERS else float(word)
