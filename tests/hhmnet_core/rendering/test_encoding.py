"""Videos that are written can be read, image by image."""

from pathlib import Path

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.rendering.encoding import MAX_SIDE, write_video
from hhmnet_core.sources.video_decoding import image_times, iterate_images


def grey(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_images_come_back_in_order(ending: str, tmp_path: Path) -> None:
    out = tmp_path / f"video.{ending}"
    levels = [10, 60, 110, 160, 210]
    assert write_video(map(grey, levels), 20, str(out)) == 5
    content = out.read_bytes()
    found = [float(image.mean()) for image in iterate_images(content)]
    np.testing.assert_allclose(found, levels, atol=4)
    assert image_times(content).count == 5
    assert image_times(content).rate == pytest.approx(20, rel=0.02)


def test_odd_and_large_images_are_fitted(tmp_path: Path) -> None:
    for size, expected in (((47, 63), (48, 64)), ((1500, 2500), (768, 1280)), ((1, 1), (2, 2))):
        out = tmp_path / "video.mp4"
        write_video([grey(100, *size)], 30, str(out))
        (image,) = iterate_images(out.read_bytes())
        assert image.shape[:2] == expected and max(expected) <= MAX_SIDE


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no \.mp4, \.mkv, \.mov"):
        write_video([grey(1)], 30, str(tmp_path / "video.gif"))
    with pytest.raises(InputError):
        write_video([grey(1)], 30, str(tmp_path / "file" / "\0.mp4"))
