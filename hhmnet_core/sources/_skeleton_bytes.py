"""A `.skeleton` file that is written as the sensor's software writes it, read without its lines.

A bit for each byte says whether it is blank. How many fields a line has, and where the first ones
end, is then arithmetic on words of 64 bits, for all lines at once; Arrow is told where the wanted
numbers lie and converts them in place.

Nothing is judged here: a file that is in any way another is left to be read line by line, which
says what is wrong with it.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
# Of a joint: x, y, z, colorX, colorY.
WANTED = (0, 1, 2, 5, 6)
# A body's own, the number of its joints, and theirs.
BODY_LINES = 2 + JOINTS


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


class _Blanks:
    """Where a text's blanks are: bit b of word w stands for byte 64 w + b."""

    def __init__(self, is_blank: NDArray[np.bool_]) -> None:
        # A word more than there are, as `next` reads two.
        self._words = np.zeros(len(is_blank) // 64 + 2, dtype="<u8")
        bits = np.packbits(is_blank, bitorder="little")
        self._words.view(np.uint8)[: len(bits)] = bits
        counts = np.bitwise_count(self._words).astype(np.int64)
        self._before = np.cumsum(counts) - counts
        self.number = int(counts.sum())

    def count_pairs(self) -> int:
        """How many blanks follow a blank."""
        follows = self._words << np.uint64(1)
        follows[1:] |= self._words[:-1] >> np.uint64(63)
        return int(np.bitwise_count(self._words & follows).sum())

    def count_before(self, at: NDArray[np.uint64]) -> NDArray[np.int64]:
        """How many blanks there are before each position."""
        word = (at >> 6).astype(np.int64)
        below = (np.uint64(1) << (at & 63)) - np.uint64(1)
        here: NDArray[np.uint8] = np.bitwise_count(self._words[word] & below)
        return self._before[word] + here

    def next(self, at: NDArray[np.uint64], number: int) -> list[NDArray[np.uint64]] | None:
        """The first so many blanks from each position on; None where 64 bytes hold fewer."""
        word, bit = (at >> 6).astype(np.int64), at & 63
        here = self._words[word] >> bit
        here |= self._words[1:][word] << (64 - bit)
        found = []
        for _ in range(number):
            last = here
            below = here - np.uint64(1)
            found.append(at + np.bitwise_count(below & ~here))
            here = here & below
        return found if last.all() else None


def read_regular(content: bytes) -> Poses | None:
    """Reads a file of single spaces, lines that are ended alike, and numbers; None if it is not."""
    text = np.frombuffer(content, dtype=np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    if not len(ends) or ends[-1] != len(text) - 1:
        return None
    has_return = text[ends - 1] == ord("\r")
    returns = np.count_nonzero(has_return)
    blanks = _Blanks(text <= ord(" "))
    spaces = np.count_nonzero(text == ord(" "))
    if blanks.number != spaces + len(ends) + returns or blanks.count_pairs() != returns:
        return None
    starts = np.append(0, ends + 1)
    counted = _frames(text, starts[:-1], ends - has_return - starts[:-1])
    if counted is None:
        return None
    num_frames, frames_r = counted
    heads = frames_r + 2 + BODY_LINES * np.arange(len(frames_r))
    joints = (heads[:, None] + np.arange(2, BODY_LINES)).ravel()
    starts_u = starts.astype(np.uint64)
    fields = np.diff(blanks.count_before(starts_u)) - has_return
    if (fields[heads] != BODY_FIELDS).any() or (fields[joints] != JOINT_FIELDS).any():
        return None
    id_ends = blanks.next(starts_u[heads], 1)
    values = _numbers(content, blanks, starts_u[joints])
    if id_ends is None or values is None:
        return None
    bounds = zip(starts[heads].tolist(), id_ends[0].tolist(), strict=True)
    ids = [content[start:end] for start, end in bounds]
    return Poses(num_frames, frames_r, ids, values.reshape(-1, JOINTS, len(WANTED)))


def _frames(
    text: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[int, NDArray[np.int64]] | None:
    """The number of frames and the frame of each body; None where a count is not in its place.

    Behind the first line, a frame's count of bodies is of one letter, a body's count of joints of
    two, and no other line is as short.
    """
    ones, twos = (1 + np.flatnonzero(lengths[1:] == letters) for letters in (1, 2))
    if not len(ones) or text[: lengths[0]].tobytes() != str(len(ones)).encode():
        return None
    bodies = text[starts[ones]].astype(np.int64) - ord("0")
    if bodies.min() < 0 or bodies.max() > 9 or bodies.sum() != len(twos):
        return None
    frames_r = np.repeat(np.arange(len(ones)), bodies)
    ones_due = 1 + np.arange(len(ones)) + BODY_LINES * (np.cumsum(bodies) - bodies)
    twos_due = 3 + frames_r + BODY_LINES * np.arange(len(twos))
    if (
        len(lengths) != 1 + len(ones) + BODY_LINES * len(twos)
        or (ones != ones_due).any()
        or (twos != twos_due).any()
        or (text[starts[twos]] != ord("2")).any()
        or (text[starts[twos] + 1] != ord("5")).any()
    ):
        return None
    return len(ones), frames_r


def _numbers(
    content: bytes, blanks: _Blanks, starts: NDArray[np.uint64]
) -> NDArray[np.float32] | None:
    """(N, 5): the wanted numbers of the lines that start there; None if one is none, or NaN."""
    place = blanks.next(starts, 3)
    pixels = blanks.next(place[-1] + np.uint64(1), 4) if place else None
    if not place or not pixels:
        return None
    before = [starts - np.uint64(1), *place, *pixels]
    # In turns, a number and what lies between it and the next, which is marked as null.
    bounds = np.empty(2 * len(WANTED) * len(starts) + 1, dtype=np.uint64)
    bounds_nf = bounds[:-1].reshape(len(starts), 2 * len(WANTED))
    for column, field in enumerate(WANTED):
        np.add(before[field], 1, out=bounds_nf[:, 2 * column])
        bounds_nf[:, 2 * column + 1] = before[field + 1]
    bounds[-1] = len(content)
    is_number = pa.py_buffer(b"\x55" * (len(bounds) // 8 + 1))
    strings = pa.LargeStringArray.from_buffers(
        len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(content), is_number
    )
    try:
        numbers = strings.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    doubles = np.frombuffer(numbers.buffers()[1], dtype=np.float64, count=len(strings))
    values = doubles[::2].astype(np.float32)
    # Which spellings of NaN are taken is not left to Arrow.
    return None if np.isnan(values).any() else values
