"""Chosen images of a video, and files that are not whole videos."""

import numpy as np
import pytest
from video_files import encode_video, image_number, numbered_images

from hhmnet_core.checks import memory
from hhmnet_core.sources.video_decoding import (
    ImageTimes,
    NoVideoError,
    decode_video,
    iterate_images,
)
from hhmnet_core.sources.video_timing import even_positions
from hhmnet_core.store.clips import Int64Array


def test_chosen_images_are_decoded() -> None:
    content = encode_video(numbered_images(24), rate=25)
    calls = []

    def choose(images: ImageTimes) -> Int64Array:
        calls.append((images.count, images.rate))
        return np.array([0, 5, 5, 23])

    images = decode_video(content, choose)
    assert calls == [(24, 25.0)]
    assert [image_number(image) for image in images] == [0, 5, 5, 23]
    assert images[0].shape == (48, 64, 3) and images[0].dtype == np.uint8


WHOLE = encode_video(numbered_images(24))
LONG_MKV = encode_video(10 * numbered_images(24), kind="matroska")
SPOILT = {
    "text": b"not a video\n" * 100,
    "empty": b"",
    "cut off": WHOLE[: len(WHOLE) // 2],
    "header alone": WHOLE[:2000],
    "mkv, cut off": LONG_MKV[: len(LONG_MKV) // 2],
}


@pytest.mark.parametrize("kind", SPOILT)
def test_file_that_is_not_a_whole_video_is_refused(kind: str) -> None:
    for read in (
        lambda: decode_video(SPOILT[kind], lambda images: even_positions(images.count, 4)),
        lambda: list(iterate_images(SPOILT[kind])),
    ):
        with pytest.raises(NoVideoError) as caught:
            read()
        assert str(caught.value).startswith("it ") and "\n" not in str(caught.value)


def test_refusal_by_the_chooser_is_passed_on() -> None:
    def choose(images: ImageTimes) -> Int64Array:
        raise NoVideoError("it is too short")

    with pytest.raises(NoVideoError, match="it is too short"):
        decode_video(WHOLE, choose)


def test_image_beyond_the_end_is_named() -> None:
    with pytest.raises(NoVideoError, match="its image 24 cannot be decoded"):
        decode_video(WHOLE, lambda images: np.array([3, images.count]))


def test_images_beyond_the_limit_of_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_FILE_MEMORY", 3 * 64 * 48 * 3)
    decode_video(WHOLE, lambda images: np.array([0, 1, 2, 2]))
    with pytest.raises(NoVideoError, match="4 images of 64 x 48 pixels would need"):
        decode_video(WHOLE, lambda images: np.array([0, 1, 2, 3]))
