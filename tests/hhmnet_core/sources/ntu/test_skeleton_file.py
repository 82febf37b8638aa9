"""The parser of `.skeleton` files against a plain one, and on every kind of damage."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest
from ntu_files import JOINTS, SkeletonFile, Track, parse_plainly, standing_body

from hhmnet_core.errors import InputError
from hhmnet_core.sources.ntu.skeleton_file import (
    Body,
    compiled_scan,
    parse_compiled,
    parse_lines,
    parse_skeleton,
)


def example() -> SkeletonFile:
    random = np.random.default_rng(1)
    return SkeletonFile(
        12,
        [
            Track(0, standing_body(random, 5)),
            Track(3, standing_body(random, 6, 0.8), number=1, gaps=(5,)),
            Track(10, standing_body(random, 2), number=2),
        ],
    )


def with_words(text: str) -> str:
    """Write numbers of a file in the other spellings of a C library."""
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
def test_recording_equals_that_of_a_plain_parser(kind: str) -> None:
    text = WHOLE[kind](example().text())
    recording = parse_skeleton(text.encode(), "file")
    plain = parse_plainly(text.replace("1.#IND", "nan").replace("1.#INF", "inf"))
    assert recording.num_frames == 12
    assert len(recording.bodies) == len(plain) == 3
    for body, rows in zip(recording.bodies, plain.values(), strict=True):
        assert body.frames.tolist() == [frame for frame, _ in rows]
        values = np.array([numbers for _, numbers in rows]).astype(np.float32)
        np.testing.assert_array_equal(body.joints, values[:, :, :3])
        np.testing.assert_array_equal(body.pixels, values[:, :, 3:])


@pytest.mark.parametrize("kind", WHOLE)
def test_line_by_line_parser_gives_the_same_values(kind: str) -> None:
    content = WHOLE[kind](example().text()).encode()
    poses, recording = parse_lines(content, "file"), parse_skeleton(content, "file")
    assert (poses.num_frames, len(set(poses.ids))) == (12, 3)
    for name, body in zip(dict.fromkeys(poses.ids), recording.bodies, strict=True):
        rows = [row for row, other in enumerate(poses.ids) if other == name]
        np.testing.assert_array_equal(poses.frames[rows], body.frames)
        np.testing.assert_array_equal(poses.values[rows, :, :3], body.joints)
        np.testing.assert_array_equal(poses.values[rows, :, 3:], body.pixels)


def test_body_may_be_reduced_to_some_frames() -> None:
    values = np.arange(3 * JOINTS * 3, dtype=np.float32).reshape(3, JOINTS, 3)
    body = Body(np.array([4, 5, 9]), values, values[..., :2])
    taken = body.take(np.array([True, False, True]))
    assert (len(body), len(taken), taken.frames.tolist()) == (3, 2, [4, 9])
    np.testing.assert_array_equal(taken.joints, values[[0, 2]])
    np.testing.assert_array_equal(taken.pixels, values[[0, 2], :, :2])


def test_recording_without_bodies_has_none() -> None:
    recording = parse_skeleton(SkeletonFile(3).text().encode(), "file")
    assert (recording.num_frames, recording.bodies) == (3, ())


REGULAR = {
    "as the sensor writes it": example().text(),
    "unix line ends": example().text().replace("\r", ""),
    "nobody": SkeletonFile(3).text(),
}


@pytest.mark.parametrize("kind", REGULAR)
def test_regular_file_is_parsed_by_compiled_code(kind: str) -> None:
    assert parse_compiled(REGULAR[kind].encode()) is not None


@pytest.fixture
def no_numba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the import of Numba fail, as without the extra `ntu`."""
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "hhmnet_core.sources.ntu.skeleton_scan", raising=False)
    compiled_scan.cache_clear()
    yield
    compiled_scan.cache_clear()


@pytest.mark.parametrize("kind", WHOLE)
def test_recording_is_the_same_without_numba(kind: str, request: pytest.FixtureRequest) -> None:
    content = WHOLE[kind](example().text()).encode()
    compiled = parse_skeleton(content, "file")
    request.getfixturevalue("no_numba")
    assert compiled_scan() is None and parse_compiled(content) is None
    plain = parse_skeleton(content, "file")
    assert plain.num_frames == compiled.num_frames
    for one, other in zip(plain.bodies, compiled.bodies, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        assert one.joints.tobytes() == other.joints.tobytes()
        assert one.pixels.tobytes() == other.pixels.tobytes()


def test_cut_at_any_line_is_named_with_the_line() -> None:
    whole = SkeletonFile(2, [Track(0, standing_body(np.random.default_rng(0), 2))]).text()
    lines = whole.split("\r\n")[:-1]
    for kept in range(len(lines)):
        cut = "".join(line + "\r\n" for line in lines[:kept])
        with pytest.raises(InputError, match=rf"^S1, line {kept + 1}: the file ends here.*cut off"):
            parse_skeleton(cut.encode(), "S1")


def test_cut_within_a_joint_is_named_with_the_line() -> None:
    whole = SkeletonFile(1, [Track(0, standing_body(np.random.default_rng(0), 1))]).text().rstrip()
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
def test_damage_is_named_with_its_line(kind: str) -> None:
    text, message = DAMAGED[kind]
    with pytest.raises(InputError, match=rf"^S1\.skeleton in zip, {message}") as caught:
        parse_skeleton(text.encode(), "S1.skeleton in zip")
    assert "\n" not in str(caught.value)


def test_binary_file_is_refused() -> None:
    with pytest.raises(InputError, match="line 1"):
        parse_skeleton(bytes(range(256)) * 4, "S1")
