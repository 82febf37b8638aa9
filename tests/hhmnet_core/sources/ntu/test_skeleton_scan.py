"""The compiled scan against the line-by-line parser, on regular and on spoilt files."""

import pickle
from typing import Any

import numpy as np
import pytest
from ntu_files import SkeletonFile, Track, standing_body
from numpy.typing import NDArray

from hhmnet_core.sources.ntu import skeleton_scan
from hhmnet_core.sources.ntu.skeleton_file import parse_compiled, parse_lines
from hhmnet_core.sources.ntu.skeleton_scan import compile_scan, scan


def example() -> bytes:
    random = np.random.default_rng(1)
    tracks = [Track(0, standing_body(random, 3)), Track(1, standing_body(random, 2, 0.8), 1)]
    return SkeletonFile(4, tracks).text().encode()


def arrays(rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return room for the frames, ids and values of so many rows."""
    return (
        np.empty(rows, np.int64),
        np.empty((rows, 2), np.int64),
        np.empty((rows, 25, 5), np.float32),
    )


def as_text(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content + b"\0", np.uint8)


def test_rows_are_bodies_of_frames() -> None:
    content = example()
    frames, ids, values = arrays(20)
    assert scan(as_text(content), frames, ids, values) == (4, 5)
    assert frames[:5].tolist() == [0, 1, 1, 2, 2]
    names = [content[start:stop] for start, stop in ids[:5].tolist()]
    assert names[0] == names[1] == names[3] and names[2] == names[4] != names[0]
    np.testing.assert_array_equal(values[:5], parse_lines(content, "file").values)


def test_arrays_that_are_too_short_fail() -> None:
    assert scan(as_text(example()), *arrays(4)) == (-1, -1)
    assert scan(as_text(example()), *arrays(5)) == (4, 5)


def test_numbers_are_rounded_as_python_does() -> None:
    random = np.random.default_rng(0)
    frames = 200
    lines = [str(frames)]
    for _ in range(frames):
        lines += ["1", "7 0 1 1 1 1 0 -0.1 0.03 2", "25"]
        for _ in range(25):
            powers, digits = random.integers(-6, 7, 12), random.integers(1, 12, 12)
            numbers = random.uniform(-10, 10, 12) * 10.0**powers
            lines.append(" ".join(f"{n:.{d}g}" for n, d in zip(numbers, digits, strict=True)))
    text = "\n".join(lines).encode() + b"\n"
    fast, plain = parse_compiled(text), parse_lines(text, "file")
    assert fast is not None
    assert fast.values.tobytes() == plain.values.tobytes()
    assert b"e-06" in text and b"e+06" in text


CACHE_ERRORS = (
    RuntimeError("cannot cache function: no locator available"),
    pickle.UnpicklingError("pickle data was truncated"),
)


@pytest.mark.parametrize("error", CACHE_ERRORS, ids=lambda error: type(error).__name__)
def test_function_is_compiled_where_it_cannot_be_cached(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    njit = skeleton_scan.njit

    def without_cache(*arguments: Any, **options: Any) -> Any:
        if options.get("cache"):
            raise error
        return njit(*arguments, **options)

    def count(text: Any, frames: Any, ids: Any, values: Any) -> tuple[int, int]:
        frames[0] = values.shape[1]
        return len(text), len(ids)

    monkeypatch.setattr(skeleton_scan, "njit", without_cache)
    compiled, room = compile_scan(count), arrays(3)
    assert compiled(as_text(b"12"), *room) == (3, 3) and room[0][0] == 25
    assert compiled.signatures  # type: ignore[attr-defined]  # of the compiled function


# Spellings of a C library, of Python alone, of nobody, and numbers that are hard to round.
NUMBERS = (
    b"nan", b"-inf", b"infinity", b"NaN", b"nan(1)", b"-1.#IND", b"1e-05", b"1E+3", b"1_0", b"+1",
    b".5", b"5.", b"-0", b"1e400", b"1e-400", b"0x10", b"1e", b"-", b".", b"1.5f", b"", b"9" * 70,
    b"0." + b"0123456789" * 4, b"4.9e-324", b"1.00000005960464477539", b"7.038531e-26",
)  # fmt: skip
LETTERS = b" \t\r\n\x0b\x0c\x00\x1c\x1f0123456789..--+eEnf_/\xa0"


def spoil(random: np.random.Generator, text: bytes) -> bytes:
    """Change one to three letters, lines or fields of a file."""
    for _ in range(random.integers(1, 4)):
        kind, at = random.integers(6), random.integers(len(text))
        lines = text.split(b"\n")
        line = random.integers(len(lines))
        letter = LETTERS[at % len(LETTERS)].to_bytes()
        if kind == 0:
            text = text[:at] + letter + text[at + 1 :]
        elif kind == 1:
            text = text[:at] + letter + text[at:]
        elif kind == 2:
            text = text[:at] + text[at + 1 :]
        else:
            fields = lines[line].split(b" ")
            fields[at % len(fields)] = NUMBERS[random.integers(len(NUMBERS))]
            lines[line] = b" ".join(fields) if kind < 5 else lines[at % len(lines)]
            text = b"\n".join(lines)
    return text


def test_spoilt_file_is_parsed_as_line_by_line_or_left() -> None:
    random = np.random.default_rng(0)
    whole = (example(), example().replace(b"\r", b""), SkeletonFile(3).text().encode())
    num_parsed = 0
    for number in range(1200):
        text = spoil(random, whole[number % len(whole)])
        fast = parse_compiled(text)
        if fast is not None:
            plain = parse_lines(text, "file")
            assert (fast.num_frames, fast.ids) == (plain.num_frames, plain.ids)
            np.testing.assert_array_equal(fast.frames, plain.frames)
            assert fast.values.tobytes() == plain.values.tobytes()
            num_parsed += 1
    assert 300 < num_parsed < 900
