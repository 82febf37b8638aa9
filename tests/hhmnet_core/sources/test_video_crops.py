"""What is kept of a video: which images, which part of them, and where the joints are in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import decoded, number_of, numbered, video

from hhmnet_core.errors import InputError
from hhmnet_core.sources.video_crops import (
    NoVideoError,
    Timing,
    VideoConfig,
    crop_box,
    decode_video,
    even_positions,
    make_video,
    project,
)


@given(frames=st.integers(1, 400), count=st.integers(1, 40))
def test_positions_are_the_middles_of_equal_parts(frames: int, count: int) -> None:
    positions = even_positions(frames, count)
    assert positions.tolist() == [(2 * part + 1) * frames // (2 * count) for part in range(count)]
    assert positions.min() >= 0 and positions.max() < frames


def test_equal_numbers_of_images_and_frames_are_matched_one_to_one() -> None:
    timing = Timing(np.array([2, 3, 7, 9]), 10, rate=30.0)
    assert timing.images_at(np.array([0, 2, 3]), 10, 15.0).tolist() == [2, 7, 9]


def test_images_are_matched_by_the_clock() -> None:
    timing = Timing.whole(60, rate=30.0)  # two seconds
    at = timing.images_at(np.array([0, 15, 59]), 40, 20.0)
    assert at.tolist() == [0, 10, 39]
    longer = timing.images_at(np.array([0, 15, 59]), 90, 20.0)  # goes on after the skeleton
    assert longer.tolist() == [0, 10, 39]


def test_without_a_clock_both_begin_and_end_together() -> None:
    timing = Timing.whole(60)
    assert timing.images_at(np.array([0, 30, 59]), 20, 10.0).tolist() == [0, 10, 19]


def test_far_too_few_images_are_refused_without_a_clock() -> None:
    with pytest.raises(NoVideoError, match="it has 1 image, but its skeleton 16 frames"):
        Timing.whole(16).images_at(np.array([3]), 1, None)
    assert Timing.whole(16).images_at(np.array([3]), 2, None).tolist() == [0]


def test_video_that_ends_before_the_skeleton_is_refused() -> None:
    with pytest.raises(NoVideoError, match=r"it shows 1\.0 s, but its skeleton 2\.0 s"):
        Timing.whole(60, rate=30.0).images_at(np.array([3]), 20, 20.0)


def test_projection_is_the_pinhole_cameras() -> None:
    joints = np.array([[0, 0, 2], [1, 0.5, 2], [0, 0, -1], [0, 0, 0]], dtype=np.float32)
    pixels = project(joints, 100.0, 320, 240)
    np.testing.assert_allclose(pixels[:2], [[160, 120], [210, 95]])
    assert np.isnan(pixels[2:]).all()


@given(
    points=st.lists(st.tuples(st.floats(0, 319), st.floats(0, 239)), min_size=1, max_size=20),
    margin=st.floats(0, 1),
)
def test_crop_holds_all_joints_and_stays_in_the_image(
    points: list[tuple[float, float]], margin: float
) -> None:
    pixels = np.array(points, dtype=np.float32).reshape(1, 1, -1, 2)
    left, top, side = crop_box(pixels, 320, 240, margin)
    assert side >= max(*np.ptp(pixels[0, 0], axis=0)) * (1 + 2 * margin) - 1e-3
    for start, values, extent in ((left, pixels[..., 0], 320), (top, pixels[..., 1], 240)):
        assert start <= values.min() + 1e-3 and values.max() <= start + side + 1e-3
        if side <= extent:
            assert start >= 0 and start + side <= extent + 1e-3


def test_crop_forgets_joints_outside_the_image_and_unknown_ones() -> None:
    pixels = np.array([[10, 10], [50, 90], [np.nan, np.nan], [-500, 3], [3, 4000]], np.float32)
    assert crop_box(pixels[None, None], 320, 240, 0.0) == crop_box(
        pixels[None, None, :2], 320, 240, 0.0
    )
    with pytest.raises(NoVideoError, match="0 of the 2 known joints lie in its image of 320 x 240"):
        crop_box(pixels[None, None, 2:], 320, 240, 0.0)
    mostly_outside = np.full((1, 9, 1, 2), -500, np.float32)
    mostly_outside[0, :2] = 7
    with pytest.raises(NoVideoError, match="2 of the 9 known joints"):
        crop_box(mostly_outside, 320, 240, 0.0)


def test_crop_of_one_point_is_not_empty() -> None:
    assert crop_box(np.full((1, 3, 4, 2), 9, np.float32), 320, 240, 0.0) == (1.0, 1.0, 16.0)


@pytest.mark.parametrize("colour", [False, True])
def test_joints_are_where_they_are_seen_in_the_crop(colour: bool) -> None:
    """Two persons, a bright spot at each of their joints: found in the JPEG where it is said."""
    random = np.random.default_rng(3)
    pixels = random.uniform((40, 50), (280, 200), size=(2, 12, 1, 2)).astype(np.float32).round()
    images = np.zeros((12, 240, 320), np.uint8)
    for body in pixels:
        for image, (x, y) in zip(images, body[:, 0].astype(int), strict=True):
            image[y - 3 : y + 3, x - 3 : x + 3] = 255  # its middle is (x, y)

    def shown(positions: np.ndarray) -> list[np.ndarray]:
        return [np.repeat(images[at][:, :, None], 3, 2) if colour else images[at]
                for at in positions]  # fmt: skip

    config = VideoConfig(frames=6, size=160, margin=0.1)
    made = make_video(shown, lambda width, height: pixels, even_positions(12, 6), config)
    assert made.positions.tolist() == [1, 3, 5, 7, 9, 11]
    assert made.joints.shape == (2, 6, 1, 2) and made.joints.dtype == np.float32
    for at, file in enumerate(made.images):
        image = decoded(file)
        assert image.shape == ((160, 160, 3) if colour else (160, 160))
        grey = image.mean(2) if colour else image.astype(float)
        for body in made.joints:
            x, y = np.round(160 * body[at, 0]).astype(int)
            near = grey[y - 4 : y + 4, x - 4 : x + 4]
            weight = near / near.sum()
            middle = np.arange(-4, 4) + 0.5
            # The spot's centre of mass is the joint, to less than a pixel.
            assert abs((weight.sum(0) * middle).sum()) < 0.75
            assert abs((weight.sum(1) * middle).sum()) < 0.75
            assert near.max() > 150


def test_wanted_images_are_decoded() -> None:
    content = video(numbered(24), rate=25)
    seen = []

    def wanted(images: int, rate: float | None) -> np.ndarray:
        seen.append((images, rate))
        return np.array([0, 5, 5, 23])

    images = decode_video(content, wanted)
    assert seen == [(24, 25.0)]
    assert [number_of(image) for image in images] == [0, 5, 5, 23]
    assert images[0].shape == (48, 64, 3) and images[0].dtype == np.uint8


def spoilt(kind: str) -> bytes:
    whole = video(numbered(24))
    return {
        "text": b"this is no video\n" * 100,
        "empty": b"",
        "cut off": whole[: len(whole) // 2],
        "header alone": whole[:2000],
        "mkv, cut off": (mkv := video(10 * numbered(24), kind="matroska"))[: len(mkv) // 2],
    }[kind]


@pytest.mark.parametrize("kind", ["text", "empty", "cut off", "header alone", "mkv, cut off"])
def test_what_is_no_whole_video_is_refused(kind: str) -> None:
    with pytest.raises(NoVideoError) as caught:
        decode_video(spoilt(kind), lambda images, rate: even_positions(images, 4))
    assert str(caught.value).startswith("it ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", [{"frames": 0}, {"size": 8}, {"margin": -0.1}, {"quality": 100}, {"frames": 1000}]
)
def test_bad_settings_are_named(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match=rf"^video\.{next(iter(bad))} must be"):
        VideoConfig(**bad)
