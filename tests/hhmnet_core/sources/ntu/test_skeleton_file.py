"""The parser of `.skeleton` files against plain ones, and on every kind of damage."""

import pickle
from typing import Any

import numpy as np
import pytest
from ntu_files import JOINTS, File, Track, read_plainly, standing

from hhmnet_core.errors import InputError
from hhmnet_core.sources.ntu import skeleton_scan as _skeleton_scan
from hhmnet_core.sources.ntu.skeleton_file import parse_skeleton, read_at_once, read_lines


def example() -> File:
    random = np.random.default_rng(1)
    return File(
        12,
        [
            Track(0, standing(random, 5)),
            Track(3, standing(random, 6, 0.8), number=1, gaps=(5,)),
            Track(10, standing(random, 2), number=2),
        ],
    )


def with_words(text: str) -> str:
    """A file whose numbers are written in every way that a C library may choose."""
    lines = text.split("\n")
    first = lines[4].split()
    lines[4] = " ".join(["-1.#IND", "nan", "1e-05", *first[3:5], "-2.5E+2", "-1.#INF", *first[7:]])
    return "\n".join(lines)


WHOLE = {
    "as the sensor writes it": lambda text: text,
    "unix line ends": lambda text: text.replace("\r", ""),
    "spaces at the line ends": lambda text: text.replace("\r", " \r"),
    "two spaces, a tab": lambda text: text.replace(" 2\r", "  2\r").replace(
        " 0.9692 ", "\t0.9692 "
    ),
    "no line end at the end": lambda text: text.rstrip(),
    "numbers that are none": with_words,
}


@pytest.mark.parametrize("kind", WHOLE)
def test_equals_a_plain_parser(kind: str) -> None:
    text = WHOLE[kind](example().text())
    recording = parse_skeleton(text.encode(), "file")
    plain = read_plainly(text.replace("1.#IND", "nan").replace("1.#INF", "inf"))
    assert recording.num_frames == 12
    assert len(recording.bodies) == len(plain) == 3
    for body, rows in zip(recording.bodies, plain.values(), strict=True):
        assert body.frames.tolist() == [frame for frame, _ in rows]
        values = np.array([numbers for _, numbers in rows]).astype(np.float32)
        np.testing.assert_array_equal(body.joints, values[:, :, :3])
        np.testing.assert_array_equal(body.pixels, values[:, :, 3:])


def test_recording_without_bodies_has_none() -> None:
    recording = parse_skeleton(File(3).text().encode(), "file")
    assert (recording.num_frames, recording.bodies) == (3, ())


REGULAR = {
    "as the sensor writes it": example().text(),
    "unix line ends": example().text().replace("\r", ""),
    "nobody": File(3).text(),
}


@pytest.mark.parametrize("kind", REGULAR)
def test_regular_file_is_read_at_once(kind: str) -> None:
    assert read_at_once(REGULAR[kind].encode()) is not None


def test_numbers_are_rounded_as_python_does() -> None:
    random = np.random.default_rng(0)
    frames = 200
    lines = [str(frames)]
    for _ in range(frames):
        lines += ["1", "7 0 1 1 1 1 0 -0.1 0.03 2", str(JOINTS)]
        for _ in range(JOINTS):
            powers, digits = random.integers(-6, 7, 12), random.integers(1, 12, 12)
            numbers = random.uniform(-10, 10, 12) * 10.0**powers
            lines.append(" ".join(f"{n:.{d}g}" for n, d in zip(numbers, digits, strict=True)))
    text = "\n".join(lines).encode() + b"\n"
    fast, plain = read_at_once(text), read_lines(text, "file")
    assert fast is not None
    assert fast.values.tobytes() == plain.values.tobytes()
    assert b"e-06" in text and b"e+06" in text


NOT_KEPT = (
    RuntimeError("cannot cache function: no locator available"),
    pickle.UnpicklingError("pickle data was truncated"),
)


@pytest.mark.parametrize("error", NOT_KEPT, ids=lambda error: type(error).__name__)
def test_scan_is_compiled_where_it_cannot_be_kept(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    compiled = _skeleton_scan.njit

    def unkept(*taken: Any, **options: Any) -> Any:
        if options.get("cache"):
            raise error
        return compiled(*taken, **options)

    monkeypatch.setattr(_skeleton_scan, "njit", unkept)
    text = np.frombuffer(example().text().encode() + b"\0", np.uint8)
    room = np.empty(20, np.int64), np.empty((20, 2), np.int64), np.empty((20, 25, 5), np.float32)
    assert _skeleton_scan._kept(_skeleton_scan.scan.py_func)(text, *room) == (12, 12)


# What a C library may write, what only Python reads, what no one reads, and hard ones to round.
NUMBERS = (
    b"nan", b"-inf", b"infinity", b"NaN", b"nan(1)", b"-1.#IND", b"1e-05", b"1E+3", b"1_0", b"+1",
    b".5", b"5.", b"-0", b"1e400", b"1e-400", b"0x10", b"1e", b"-", b".", b"1.5f", b"", b"9" * 70,
    b"0." + b"0123456789" * 4, b"4.9e-324", b"1.00000005960464477539", b"7.038531e-26",
)  # fmt: skip
LETTERS = b" \t\r\n\x0b\x0c\x00\x1c\x1f0123456789..--+eEnf_/\xa0"


def spoilt(random: np.random.Generator, text: bytes) -> bytes:
    """A file with one letter, line or field of it changed, once to three times."""
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


def test_spoilt_file_is_read_as_line_by_line_or_left() -> None:
    random = np.random.default_rng(0)
    whole = [text.encode() for text in REGULAR.values()]
    read = 0
    for number in range(1200):
        text = spoilt(random, whole[number % len(whole)])
        fast = read_at_once(text)
        if fast is not None:
            plain = read_lines(text, "file")
            assert (fast.num_frames, fast.ids) == (plain.num_frames, plain.ids)
            np.testing.assert_array_equal(fast.frames, plain.frames)
            assert fast.values.tobytes() == plain.values.tobytes()
            read += 1
    assert 300 < read < 900


def test_cut_at_any_line_is_refused_by_the_line() -> None:
    whole = File(2, [Track(0, standing(np.random.default_rng(0), 2))]).text()
    lines = whole.split("\r\n")[:-1]
    for kept in range(len(lines)):
        cut = "".join(line + "\r\n" for line in lines[:kept])
        with pytest.raises(InputError, match=rf"^S1, line {kept + 1}: the file ends here.*cut off"):
            parse_skeleton(cut.encode(), "S1")


def test_cut_within_a_joint_is_refused_by_the_line() -> None:
    whole = File(1, [Track(0, standing(np.random.default_rng(0), 1))]).text().rstrip()
    for kept in range(1, len(whole.split("\r\n")[-1])):
        with pytest.raises(InputError, match=r"line 29: .*expected a joint's 12 numbers"):
            parse_skeleton(whole[:-kept].encode(), "S1")


def replaced(at: int, line: str) -> str:
    lines = example().text().split("\r\n")
    lines[at] = line
    return "\r\n".join(lines)


TWICE = example().text().split("\r\n")
DAMAGED = {
    "empty": ("", "line 1: the file ends here"),
    "no frames": ("0\r\n", "line 1: the recording has 0 frames"),
    "text": ("# hello\n", r"line 1: '# hello', expected the number of frames"),
    "digits": ("9" * 5000 + "\r\n", "line 1: '9+', expected the number of frames"),
    "bodies": (replaced(1, "-1"), "line 2: '-1', expected the number of bodies"),
    "body": (replaced(2, "1 2 3"), "line 3: '1 2 3', expected a body's 10 fields"),
    "joints": (replaced(3, "20"), "line 4: '20', expected 25 joints"),
    "word": (replaced(5, "a b c d e f g h i j k l"), "line 6: 'a b .*expected a joint's 12"),
    "fields": (replaced(5, "1 2 3"), "line 6: '1 2 3', expected a joint's 12 numbers"),
    "1_0": (replaced(5, " ".join(["1_0", *"23456789", "10", "11", "12"])), "line 6: .*12 numbers"),
    "return": (replaced(5, "1\r2 3 4 5 6 7 8 9 10 11 12 13"), "line 6: .*12 numbers"),
    "more": (example().text() + "1\r\n", r"line \d+: '1', expected the end, behind 12 frames"),
    "twice": (
        "\r\n".join(["1", "2", *TWICE[2 : 4 + JOINTS], *TWICE[2 : 4 + JOINTS]]),
        "line 30: .*expected another bodyID",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_named_by_its_line(kind: str) -> None:
    text, said = DAMAGED[kind]
    with pytest.raises(InputError, match=rf"^S1\.skeleton in zip, {said}") as caught:
        parse_skeleton(text.encode(), "S1.skeleton in zip")
    assert "\n" not in str(caught.value)


def test_binary_file_is_refused() -> None:
    with pytest.raises(InputError, match="line 1"):
        parse_skeleton(bytes(range(256)) * 4, "S1")
