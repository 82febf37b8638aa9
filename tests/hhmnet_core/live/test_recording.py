"""The video of a live prediction keeps the times of its images, and is whole at every end."""

import io
import threading
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from hhmnet_core.errors import AccessError
from hhmnet_core.live.recording import LiveVideo


def grey(level: int, width: int = 64) -> np.ndarray:
    return np.full((48, width, 3), level, np.uint8)


def decode(file: Path) -> tuple[list[float], list[float]]:
    """Return the times of a video's images, and their grey levels."""
    with av.open(str(file)) as video:
        frames = list(video.decode(video=0))
    return [float(frame.time) for frame in frames], [
        float(frame.to_ndarray(format="rgb24").mean()) for frame in frames
    ]


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov"])
def test_images_are_shown_at_their_times(ending: str, tmp_path: Path) -> None:
    file = tmp_path / "made" / f"out{ending}"
    times = np.array([1000.0, 1000.04, 1000.08, 1000.3, 1002.0])
    video = LiveVideo(file)
    for number, time in enumerate(times):
        drawn = threading.Event()

        def draw(level: int = 40 * (number + 1), drawn: threading.Event = drawn) -> np.ndarray:
            drawn.set()
            return grey(level)

        video.add(draw, time)
        assert drawn.wait(20)
    video.close()
    found, levels = decode(file)
    np.testing.assert_allclose(np.array(found) - found[0], times - times[0], atol=2e-3)
    np.testing.assert_allclose(levels, [40, 80, 120, 160, 200], atol=3)
    assert video.left_out == 0


def test_images_are_left_out_while_drawing_takes_too_long(tmp_path: Path) -> None:
    file, goes_on = tmp_path / "out.mp4", threading.Event()
    video = LiveVideo(file)

    def draw() -> np.ndarray:
        goes_on.wait(20)
        return grey(100)

    for number in range(50):
        video.add(draw, number / 25)
    goes_on.set()
    video.close()
    times, _ = decode(file)
    assert 40 <= video.left_out < 50 and len(times) + video.left_out == 50


def test_without_images_there_is_no_file(tmp_path: Path) -> None:
    LiveVideo(tmp_path / "out.mp4").close()
    assert not list(tmp_path.iterdir())


def test_images_of_another_size_are_scaled(tmp_path: Path) -> None:
    video = LiveVideo(tmp_path / "out.mp4")
    video.add(lambda: grey(100), 0.0)
    video.add(lambda: grey(100, 128), 0.1)
    video.close()
    assert len(decode(tmp_path / "out.mp4")[0]) == 2


def test_a_file_that_is_cut_off_can_be_played(tmp_path: Path) -> None:
    """As after a power cut: all but the last piece is there."""
    file = tmp_path / "out.mp4"
    video, random = LiveVideo(file), np.random.default_rng(1)
    for number in range(600):
        drawn = threading.Event()
        noise = random.integers(0, 255, (48, 64, 3)).astype(np.uint8)
        video.add(lambda drawn=drawn, noise=noise: (drawn.set(), noise)[1], number / 25)
        assert drawn.wait(20)
    content = file.read_bytes()
    video.close()
    count = 0
    with av.open(io.BytesIO(content)) as cut, suppress(av.FFmpegError):
        for _ in cut.decode(video=0):
            count += 1
    assert count >= 250


def test_what_drawing_raises_comes_out(tmp_path: Path) -> None:
    video = LiveVideo(tmp_path / "out.mp4")
    video.add(lambda: grey(100), 0.0)
    video.add(lambda: grey(1)[:, :, :, None], 0.1)
    with pytest.raises(ValueError, match="ndim"):
        video.close()


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AccessError, match="Cannot write"):
        LiveVideo(tmp_path / "file" / "out.mp4")
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(AccessError, match="Cannot write"):
        LiveVideo(tmp_path / "out.mp4")
