"""Projection, the crop around the joints, and the joints' positions in the cropped images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_files import decode_jpeg

from hhmnet_core.errors import InputError
from hhmnet_core.sources.video_crops import Camera, VideoConfig, crop_box, make_video, project
from hhmnet_core.sources.video_decoding import Image, NoVideoError
from hhmnet_core.sources.video_timing import even_positions
from hhmnet_core.store.clips import Int64Array


def test_projection_is_that_of_a_pinhole_camera() -> None:
    joints = np.array([[0, 0, 2], [1, 0.5, 2], [0, 0, -1], [0, 0, 0]], dtype=np.float32)
    pixels = project(joints, 100.0, 320, 240)
    np.testing.assert_allclose(pixels[:2], [[160, 120], [210, 95]])
    assert np.isnan(pixels[2:]).all()


def test_camera_scales_its_focal_length_to_the_image() -> None:
    joints = np.array([[1, 0.5, 2]], dtype=np.float32)
    locate = Camera(focal=100.0, width=320).locator(joints)
    np.testing.assert_allclose(locate(320, 240), [[210, 95]])
    np.testing.assert_allclose(locate(640, 480), [[420, 190]])
    for focal in (0.0, -1.0):
        with pytest.raises(InputError, match=f"focal must be above 0 pixels, but is {focal}"):
            Camera(focal, 320)


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


def test_crop_ignores_joints_outside_the_image_and_unknown_ones() -> None:
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
def test_joints_are_found_at_their_positions_in_the_crop(colour: bool) -> None:
    """Two people with a bright spot at their joint, which the JPEG shows at the stored position."""
    random = np.random.default_rng(3)
    pixels = random.uniform((40, 50), (280, 200), size=(2, 12, 1, 2)).astype(np.float32).round()
    images = np.zeros((12, 240, 320), np.uint8)
    for body in pixels:
        for image, (x, y) in zip(images, body[:, 0].astype(int), strict=True):
            image[y - 3 : y + 3, x - 3 : x + 3] = 255  # its middle is (x, y)

    def read_images(positions: Int64Array) -> list[Image]:
        return [
            np.repeat(images[at][:, :, None], 3, 2) if colour else images[at] for at in positions
        ]

    config = VideoConfig(frames=6, size=160, margin=0.1)
    made = make_video(read_images, lambda width, height: pixels, even_positions(12, 6), config)
    assert made.positions.tolist() == [1, 3, 5, 7, 9, 11]
    assert made.joints.shape == (2, 6, 1, 2) and made.joints.dtype == np.float32
    for at, file in enumerate(made.images):
        image = decode_jpeg(file)
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


def test_joint_with_one_unknown_coordinate_is_unknown() -> None:
    pixels = np.full((1, 2, 4, 2), 20, np.float32)
    pixels[0, 1, 2, 0] = np.nan
    images = [np.zeros((48, 64), np.uint8)] * 2
    config = VideoConfig(frames=2, size=16)
    made = make_video(lambda positions: images, lambda *_: pixels, np.array([0, 1]), config)
    assert np.isnan(made.joints[0, 1, 2]).all()
    assert np.isfinite(made.joints).sum() == made.joints.size - 2


@pytest.mark.parametrize(
    "bad", [{"frames": 0}, {"size": 8}, {"margin": -0.1}, {"quality": 100}, {"frames": 1000}]
)
def test_bad_settings_are_named(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match=rf"^video\.{next(iter(bad))} must be"):
        VideoConfig(**bad)
