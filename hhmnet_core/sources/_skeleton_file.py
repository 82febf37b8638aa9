"""Kinect v2 `.skeleton` files, as NTU RGB+D is published in.

Line by line: the number of frames; for each frame the number of bodies; for each body a line
`bodyID clippedEdges handLeftConfidence handLeftState handRightConfidence handRightState
isRestricted leanX leanY trackingState`, the number of joints (25) and for each joint
`x y z depthX depthY colorX colorY orientationW orientationX orientationY orientationZ
trackingState`. x, y, z are metres from the camera (x right, y up, z away), colorX and colorY
pixels of the 1920 x 1080 colour image.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from hhmnet_core.errors import InputError

JOINTS = 25
_COLUMNS = (
    "x", "y", "z", "depthX", "depthY", "colorX", "colorY",
    "orientationW", "orientationX", "orientationY", "orientationZ", "trackingState",
)  # fmt: skip
_WANTED = (0, 1, 2, 5, 6)
_BODY_FIELDS = 10
# How the recorder's own C library writes what is not a number.
_NOT_NUMBERS = ("nan", "NaN", "-nan", "-NaN", "-nan(ind)", "nan(ind)", "1.#QNAN", "-1.#QNAN",
                "1.#IND", "-1.#IND")  # fmt: skip


@dataclass(frozen=True)
class Body:
    """What one track of the sensor saw; a person may have several, one after the other.

    Attributes:
        frames: (F,) the recording's frames that it is in, rising.
        joints: (F, 25, 3) float32, metres.
        pixels: (F, 25, 2) float32, pixels of the colour image.
    """

    frames: NDArray[np.int64]
    joints: NDArray[np.float32]
    pixels: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, which: NDArray[np.bool_]) -> "Body":
        """The frames of this body where `which` (F,) is true."""
        return Body(self.frames[which], self.joints[which], self.pixels[which])


@dataclass(frozen=True)
class Recording:
    """A file: how many frames it has, and the bodies in order of their first frame."""

    num_frames: int
    bodies: tuple[Body, ...]


def parse_skeleton(content: bytes, where: str) -> Recording:
    """Reads a `.skeleton` file.

    The structure is walked in Python, a step a body and frame; the numbers of all joints are then
    converted at once. NaN and infinite values are returned as they are.

    Args:
        content: The file.
        where: Its name, for messages.

    Raises:
        InputError: Not such a file, cut off, or with other than 25 joints; names file and line.
    """
    lines = content.replace(b"\r", b"").split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    num_frames = _count(lines, 0, "the number of frames", where)
    if not num_frames:
        raise InputError(f"{where}, line 1: the recording has 0 frames; leave it out.")
    joint_lines: list[bytes] = []
    starts: list[int] = []
    rows_of_body: dict[bytes, list[int]] = {}
    frame_of_row: list[int] = []
    at = 1
    for frame in range(num_frames):
        num_bodies = _count(lines, at, "the number of bodies", where)
        at += 1
        for _ in range(num_bodies):
            fields = lines[at].split() if at < len(lines) else []
            if len(fields) != _BODY_FIELDS:
                raise _wrong(lines, at, f"a body's {_BODY_FIELDS} fields", where)
            if _count(lines, at + 1, "the number of joints", where) != JOINTS:
                raise _wrong(lines, at + 1, f"{JOINTS} joints", where)
            rows_of_body.setdefault(fields[0], []).append(len(starts))
            starts.append(at + 2)
            frame_of_row.append(frame)
            joint_lines += lines[at + 2 : at + 2 + JOINTS]
            at += 2 + JOINTS
            if at > len(lines):
                raise _wrong(lines, len(lines), "a joint's 12 numbers", where)
    if at < len(lines):
        raise _wrong(lines, at, f"the end, behind {num_frames} frames", where)
    values_rvc = _numbers(joint_lines, starts, where).astype(np.float32)
    values_rvc = values_rvc.reshape(len(starts), JOINTS, len(_WANTED))
    frames = np.array(frame_of_row, dtype=np.int64)
    bodies = []
    for rows in rows_of_body.values():
        if len(np.unique(frames[rows])) != len(rows):
            again = next(r for r, s in zip(rows[1:], rows, strict=False) if frames[r] == frames[s])
            raise _wrong(lines, starts[again] - 2, "another bodyID than this frame's first", where)
        bodies.append(Body(frames[rows], values_rvc[rows, :, :3], values_rvc[rows, :, 3:]))
    return Recording(num_frames, tuple(bodies))


def _numbers(joint_lines: list[bytes], starts: list[int], where: str) -> NDArray[np.float64]:
    """(rows * 25, 5): x, y, z, colorX, colorY of every joint line."""
    if not joint_lines:
        return np.zeros((0, len(_WANTED)))
    try:
        return _fast_numbers(b"\n".join(joint_lines))
    except pa.ArrowInvalid:  # an odd space, or a line that is damaged: it is looked for
        return _plain_numbers(joint_lines, starts, where)


def _fast_numbers(text: bytes) -> NDArray[np.float64]:
    table = csv.read_csv(
        pa.BufferReader(text),
        csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=_COLUMNS),
        csv.ParseOptions(delimiter=" ", quote_char=False, ignore_empty_lines=False),
        csv.ConvertOptions(
            # The last one is read to see that a line is whole.
            include_columns=[_COLUMNS[column] for column in (*_WANTED, -1)],
            column_types={name: pa.float64() for name in _COLUMNS},
            null_values=_NOT_NUMBERS,
        ),
    )
    return np.stack([column.to_numpy() for column in table.columns[:-1]], 1)


def _plain_numbers(joint_lines: list[bytes], starts: list[int], where: str) -> NDArray[np.float64]:
    values = np.empty((len(joint_lines), len(_WANTED)))
    for row, line in enumerate(joint_lines):
        fields = line.split()
        try:
            if len(fields) != len(_COLUMNS):
                raise ValueError
            values[row] = [_number(fields[column]) for column in _WANTED]
        except ValueError:
            at = starts[row // JOINTS] + row % JOINTS
            said = "a joint's 12 numbers"
            raise InputError(f"{where}, line {at + 1}: {_seen(line)}, expected {said}.") from None
    return values


def _number(field: bytes) -> float:
    return float("nan") if field.decode("latin-1") in _NOT_NUMBERS else float(field)


def _count(lines: list[bytes], at: int, what: str, where: str) -> int:
    if at >= len(lines) or not lines[at].strip().isdigit():
        raise _wrong(lines, at, what, where)
    return int(lines[at])


def _wrong(lines: list[bytes], at: int, expected: str, where: str) -> InputError:
    if at >= len(lines):
        return InputError(
            f"{where}, line {at + 1}: the file ends here, expected {expected}: it is cut off; get "
            "it again."
        )
    return InputError(f"{where}, line {at + 1}: {_seen(lines[at])}, expected {expected}.")


def _seen(line: bytes) -> str:
    return repr(line[:60].decode("latin-1"))
