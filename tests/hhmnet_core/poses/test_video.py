"""Poses of a video by content, path or stream, one image in memory at a time."""

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drawn_people import Script, blank_images, crowd, person
from video_files import encode_video, numbered_images

from hhmnet_core.errors import InputError
from hhmnet_core.poses.video import AHEAD, decode_ahead, poses_of_images, poses_of_video
from hhmnet_core.sources.video_decoding import Image, NoVideoError


def test_content_and_path_give_the_same(tmp_path: Path) -> None:
    script = Script([crowd(person(100 + t)) for t in range(20)])
    content = encode_video(numbered_images(20))
    (tmp_path / "a.avi").write_bytes(content)
    results = [poses_of_video(video, script) for video in (content, tmp_path / "a.avi")]
    assert results[0].num_frames == 20 and (results[0].width, results[0].height) == (64, 48)
    np.testing.assert_array_equal(results[0].pixels, results[1].pixels)
    with pytest.raises(InputError, match=r"no video at .*b\.avi"):
        poses_of_video(tmp_path / "b.avi", script)
    with pytest.raises(NoVideoError):
        poses_of_video(content[:500], script)


def test_images_are_held_one_at_a_time() -> None:
    """60 images of 2.8 MB each."""
    count = 60
    script = Script([crowd(person(100 + t)) for t in range(count)])
    tracemalloc.start()
    poses_of_images(blank_images(count, 1280, 720), script)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


def test_images_of_another_size_are_refused() -> None:
    def images() -> Iterator[Image]:
        yield from blank_images(1, 64, 48)
        yield from blank_images(1, 48, 64)

    with pytest.raises(NoVideoError, match="change from 64 x 48 to 48 x 64 pixels"):
        poses_of_images(images(), Script([crowd(), crowd()]))


def test_images_are_decoded_ahead_in_their_order_and_no_further_than_two() -> None:
    taken: list[int] = []

    def images() -> Iterator[np.ndarray]:
        for number in range(6):
            taken.append(number)
            yield np.full((2, 2, 3), number, np.uint8)

    ahead = decode_ahead(images())
    found = []
    for image in ahead:
        found.append(int(image[0, 0, 0]))
        assert len(taken) <= len(found) + AHEAD + 1
    assert found == list(range(6))


def test_errors_of_the_decoder_come_after_the_images_before_them() -> None:
    def images() -> Iterator[np.ndarray]:
        yield np.zeros((2, 2, 3), np.uint8)
        raise NoVideoError("it is damaged")

    ahead = decode_ahead(images())
    next(ahead)
    with pytest.raises(NoVideoError, match="it is damaged"):
        next(ahead)


def test_a_decoder_that_is_not_read_to_its_end_stops() -> None:
    closed = threading.Event()

    def images() -> Iterator[np.ndarray]:
        try:
            while True:
                yield np.zeros((2, 2, 3), np.uint8)
        finally:
            closed.set()

    source = images()
    ahead = decode_ahead(source)
    next(ahead)
    ahead.close()  # type: ignore[attr-defined]
    source.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "decode"]
