"""Videos as users have them: trimmed, of variable rate, off a keyframe, turned, of odd sizes."""

from fractions import Fraction

import numpy as np
import pytest
from bit_videos import WIDTH, bit_image, encode_bits, read_bits, remux, rotated, trimmed

from hhmnet_core.sources.video_decoding import (
    ImageTimes,
    NoVideoError,
    decode_video,
    iterate_images,
)
from hhmnet_core.sources.video_timing import Timing
from hhmnet_core.store.clips import Int64Array


def shown(content: bytes, timing: Timing, frames: list[int]) -> list[int]:
    """Return the numbers that the images of some frames of a skeleton show."""
    positions = np.array(frames)
    images = decode_video(content, lambda images: timing.images_at(positions, images))
    return [read_bits(image) for image in images]


def times_of(content: bytes) -> ImageTimes:
    seen: list[ImageTimes] = []

    def choose(images: ImageTimes) -> Int64Array:
        seen.append(images)
        return np.array([0])

    decode_video(content, choose)
    return seen[-1]


@pytest.mark.parametrize("kind", ["mp4", "matroska", "avi"])
def test_images_are_counted_in_the_order_of_their_presentation(kind: str) -> None:
    content = encode_bits(40, kind=kind)
    assert times_of(content).count == 40
    assert shown(content, Timing.whole(40), [0, 1, 13, 39]) == [0, 1, 13, 39]


@pytest.mark.parametrize("cut", [3, 9, 12, 20])
def test_trimmed_video_begins_with_its_first_presented_image(cut: int) -> None:
    content = trimmed(encode_bits(40), cut)
    assert times_of(content).count == 40 - cut
    # The skeleton was made from what players show.
    assert shown(content, Timing.whole(40 - cut), [0, 5, 39 - cut]) == [cut, cut + 5, 39]
    # At half the rate, by time.
    half = Timing.whole((40 - cut) // 2, rate=15.0)
    assert shown(content, half, [0, 4]) == [cut + 1, cut + 9]


@pytest.mark.parametrize("kind", ["matroska", "mpegts"])
def test_video_that_starts_off_a_keyframe_begins_with_what_can_be_decoded(kind: str) -> None:
    content = remux(encode_bits(40), lambda number, packet, unit: number >= 5, kind)
    first = 12  # the next keyframe
    assert times_of(content).count == 40 - first
    assert shown(content, Timing.whole(40 - first), [0, 10, 27]) == [12, 22, 39]


def test_variable_rate_is_matched_by_time() -> None:
    # 20 images at 10 per second, then 20 at 40 per second.
    times = [100 * n for n in range(20)] + [2000 + 25 * n for n in range(20)]
    content = encode_bits(40, times)
    images = times_of(content)
    assert images.starts is not None and images.seconds == pytest.approx(2.5, abs=0.05)
    # Frame k of a skeleton of 30 per second is seen at (k + 0.5) / 30 s.
    timing = Timing.whole(75, rate=30.0)
    expected = [np.searchsorted(times, 1000 * (k + 0.5) / 30, "right") - 1 for k in (0, 30, 66, 74)]
    assert shown(content, timing, [0, 30, 66, 74]) == expected == [0, 10, 28, 39]
    # As many frames as images: one to one.
    assert shown(content, Timing.whole(40), [0, 21, 39]) == [0, 21, 39]


def test_padding_of_a_skeleton_is_no_time() -> None:
    content = encode_bits(40)
    padded = Timing(np.arange(40), 300, shown=40)
    assert shown(content, padded, [0, 20, 39]) == [0, 20, 39]
    late = Timing(np.arange(5, 40), 40)  # whose first five frames showed nobody
    assert shown(content, late, [0, 34]) == [5, 39]
    other = Timing(np.arange(20), 300, shown=20)
    with pytest.raises(NoVideoError, match="40 images, but its skeleton 20 frames and 280 frames"):
        shown(content, other, [0])
    timed = Timing(np.arange(20), 300, rate=15.0, shown=20)
    assert shown(content, timed, [0, 19]) == [1, 39]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_video_is_upright(degrees: int) -> None:
    content = encode_bits(6)
    (upright,) = decode_video(content, lambda images: np.array([5]))
    (image,) = decode_video(rotated(content, degrees), lambda images: np.array([5]))
    np.testing.assert_array_equal(image, np.rot90(upright, -degrees // 90))


def test_odd_sizes_and_pixels_that_are_not_square_stay_in_place() -> None:
    for size, aspect in (((WIDTH + 1, 49), None), ((WIDTH, 48), Fraction(16, 11))):
        content = encode_bits(6, size=size, aspect=aspect)
        (image,) = decode_video(content, lambda images: np.array([5]))
        assert image.shape == (size[1], size[0], 3)
        # Positions of joints are those of the stored pixels.
        assert np.abs(image.astype(int) - bit_image(5, *size)).mean() < 12


SHAPES = {
    "plain": encode_bits(40),
    "avi": encode_bits(40, kind="avi"),
    "trimmed": trimmed(encode_bits(40), 9),
    "off a keyframe": remux(encode_bits(40), lambda number, packet, unit: number >= 5, "mpegts"),
    "of variable rate": encode_bits(40, [33 * n + n % 2 * 9 for n in range(40)]),
    "turned": rotated(encode_bits(40), 90),
    "of one image": encode_bits(1),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_images_one_after_the_other_are_those_that_are_chosen(shape: str) -> None:
    content = SHAPES[shape]
    count = times_of(content).count
    chosen = decode_video(content, lambda images: np.arange(images.count))
    following = list(iterate_images(content))
    assert len(following) == len(chosen) == count
    assert all(map(np.array_equal, following, chosen))
