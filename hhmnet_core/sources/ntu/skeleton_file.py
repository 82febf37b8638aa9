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
from numpy.typing import NDArray

from hhmnet_core.errors import InputError

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
# Of a joint: x, y, z, colorX, colorY.
WANTED = (0, 1, 2, 5, 6)
# A body's own, the number of its joints, and theirs.
BODY_LINES = 2 + JOINTS
# Of a count; Python refuses to read thousands.
_MOST_DIGITS = 9
# How the recorder's own C library writes what is not a number, and what float() does not know.
_WORDS = {
    **dict.fromkeys(
        ("-nan(ind)", "nan(ind)", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND"), float("nan")
    ),
    "1.#INF": float("inf"),
    "-1.#INF": float("-inf"),
}


@dataclass(frozen=True)
class Poses:
    """What a file says, a row for each body of each frame.

    Attributes:
        num_frames: Of the recording, those without a body too.
        frames: (R,) the frame of each row, in order.
        ids: The bodyID of each row.
        values: (R, 25, 5) float32, the wanted fields.
    """

    num_frames: int
    frames: NDArray[np.int64]
    ids: list[bytes]
    values: NDArray[np.float32]


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

    NaN and infinite values are returned as they are.

    Args:
        content: The file.
        where: Its name, for messages.

    Raises:
        InputError: Not such a file, cut off, or with other than 25 joints; names file and line.
    """
    poses = read_at_once(content) or read_lines(content, where)
    rows_of_body: dict[bytes, list[int]] = {}
    for row, body in enumerate(poses.ids):
        rows_of_body.setdefault(body, []).append(row)
    bodies = []
    for rows in rows_of_body.values():
        frames = poses.frames[rows]
        again = np.flatnonzero(frames[1:] == frames[:-1])
        if len(again):
            row = rows[int(again[0]) + 1]
            at = int(poses.frames[row]) + 2 + BODY_LINES * row
            raise _wrong(_lines(content), at, "another bodyID than this frame's first", where)
        values = poses.values[rows]
        bodies.append(Body(frames, values[..., :3], values[..., 3:]))
    return Recording(poses.num_frames, tuple(bodies))


def read_at_once(content: bytes) -> Poses | None:
    """Reads a file as the sensor's software writes it, in one pass; None for any other."""
    from hhmnet_core.sources.ntu.skeleton_scan import scan  # compiled; half a second to import

    shortest = JOINTS * JOINT_FIELDS * len("0 ")
    most = len(content) // shortest + 1
    frames, ids = np.empty(most, np.int64), np.empty((most, 2), np.int64)
    values = np.empty((most, JOINTS, len(WANTED)), np.float32)
    text = np.frombuffer(content + b"\0", np.uint8)
    num_frames, rows = scan(text, frames, ids, values)
    if num_frames <= 0:
        return None
    bounds = ids[:rows].tolist()
    return Poses(num_frames, frames[:rows], [content[a:b] for a, b in bounds], values[:rows])


def _lines(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def read_lines(content: bytes, where: str) -> Poses:
    """Reads a file line by line, as `parse_skeleton` does where something in it is unusual."""
    lines = _lines(content)
    num_frames = _count(lines, 0, "the number of frames", where)
    if not num_frames:
        raise InputError(f"{where}, line 1: the recording has 0 frames; leave it out.")
    joints_at: list[int] = []
    ids: list[bytes] = []
    frame_of_row: list[int] = []
    at = 1
    for frame in range(num_frames):
        num_bodies = _count(lines, at, "the number of bodies", where)
        at += 1
        for _ in range(num_bodies):
            fields = lines[at].split() if at < len(lines) else []
            if len(fields) != BODY_FIELDS:
                raise _wrong(lines, at, f"a body's {BODY_FIELDS} fields", where)
            if _count(lines, at + 1, "the number of joints", where) != JOINTS:
                raise _wrong(lines, at + 1, f"{JOINTS} joints", where)
            ids.append(fields[0])
            frame_of_row.append(frame)
            joints_at += range(at + 2, at + BODY_LINES)
            at += BODY_LINES
            if at > len(lines):
                raise _wrong(lines, len(lines), "a joint's 12 numbers", where)
    if at < len(lines):
        raise _wrong(lines, at, f"the end, behind {num_frames} frames", where)
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and told as that
        values = np.array([_joint(lines, line, where) for line in joints_at], dtype=np.float32)
    frames = np.array(frame_of_row, dtype=np.int64)
    return Poses(num_frames, frames, ids, values.reshape(len(ids), JOINTS, len(WANTED)))


def _joint(lines: list[bytes], at: int, where: str) -> list[float]:
    fields = lines[at].split()
    try:
        if len(fields) != JOINT_FIELDS:
            raise ValueError
        return [_number(fields[column]) for column in WANTED]
    except ValueError:
        raise _wrong(lines, at, "a joint's 12 numbers", where) from None


def _number(field: bytes) -> float:
    word = field.decode("latin-1")
    if "_" in word:  # Python reads 1_0 as 10
        raise ValueError
    return _WORDS[word] if word in _WORDS else float(word)


def _count(lines: list[bytes], at: int, what: str, where: str) -> int:
    digits = lines[at].strip() if at < len(lines) else b""
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise _wrong(lines, at, what, where)
    return int(digits)


def _wrong(lines: list[bytes], at: int, expected: str, where: str) -> InputError:
    if at >= len(lines):
        return InputError(
            f"{where}, line {at + 1}: the file ends here, expected {expected}: it is cut off; get "
            "it again."
        )
    return InputError(f"{where}, line {at + 1}: {_seen(lines[at])}, expected {expected}.")


def _seen(line: bytes) -> str:
    return repr(line.rstrip()[:60].decode("latin-1"))
