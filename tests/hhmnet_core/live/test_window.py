"""Poses on an even grid equal the closed form of the motion, whatever images are missing."""

import numpy as np
import pytest
from drawn_people import LAYOUT, crowd, person

from hhmnet_core.errors import InputError
from hhmnet_core.live.window import PoseWindow, interpolate
from hhmnet_core.poses.contract import People

SIZE = (640, 480)
SPEED = 60.0  # pixels per second


def walker(time: float) -> People:
    return person(100 + SPEED * time)


def fill(window: PoseWindow, times: np.ndarray) -> None:
    for time in times:
        window.add(crowd(walker(time)), SIZE, float(time))


def irregular(seconds: float) -> np.ndarray:
    """Return times of images, 20 to 120 ms apart."""
    steps = np.random.default_rng(5).uniform(0.02, 0.12, round(seconds / 0.07))
    return np.cumsum(steps)


def test_the_grid_is_even_in_time_whatever_the_images() -> None:
    window = PoseWindow(LAYOUT, 2.0, 2, rate=30)
    times = irregular(6)
    fill(window, times)
    found = window.poses()
    assert found.view == "people" and found.tracks.num_bodies == 1
    grid = times[-1] - np.arange(59, -1, -1) / 30
    expected = np.stack([walker(time).pixels[0] for time in grid])
    np.testing.assert_allclose(found.tracks.pixels[0], expected, atol=1e-2)
    speeds = np.diff(found.tracks.pixels[0].mean(1)[:, 0]) * 30
    np.testing.assert_allclose(speeds, SPEED, rtol=1e-3)
    assert found.tracks.world is not None
    np.testing.assert_allclose(found.tracks.world[0, 7], walker(0).world[0], atol=1e-5)  # type: ignore[index]
    np.testing.assert_allclose(found.tracks.confidence, 0.9)
    assert (found.tracks.width, found.tracks.height) == SIZE


@pytest.mark.parametrize("rate", [10.0, 30.0, 50.0])
def test_the_frame_rate_is_that_of_the_training_data(rate: float) -> None:
    window = PoseWindow(LAYOUT, 1.0, 1, rate)
    fill(window, irregular(4))
    steps = np.diff(window.poses().tracks.pixels[0].mean(1)[:, 0])
    assert len(steps) == rate - 1
    np.testing.assert_allclose(steps, SPEED / rate, rtol=1e-2)


def test_a_person_who_is_hidden_for_some_images_moves_on_lines_in_time() -> None:
    window, times = PoseWindow(LAYOUT, 2.0, 1), irregular(6)
    for number, time in enumerate(times):
        hidden = len(times) - 12 < number < len(times) - 7
        window.add(crowd() if hidden else crowd(walker(time)), SIZE, float(time))
    speeds = np.diff(window.poses().tracks.pixels[0].mean(1)[:, 0]) * 30
    np.testing.assert_allclose(speeds, SPEED, rtol=1e-3)


def test_memory_is_bounded() -> None:
    window = PoseWindow(LAYOUT, 2.0, 2)
    for number in range(5000):
        time = number / 25
        # Every two seconds somebody else comes, elsewhere.
        window.add(crowd(person(100 + 300 * (number // 50 % 2)), walker(time)), SIZE, time)
        assert window.num_images <= 52
    tracks = window._tracker.tracks
    assert len(tracks) <= 4 and sum(map(len, tracks)) <= 2 * 52
    assert len(window._tracker._live) <= 4


def test_what_a_window_shows() -> None:
    window, steps = PoseWindow(LAYOUT, 2.0, 1), 1 / 25
    views = []
    for number in range(250):
        somebody = 75 <= number < 175
        window.add(crowd(person(100)) if somebody else crowd(), SIZE, number * steps)
        views.append(window.poses().view)
    assert views.index("nobody") == pytest.approx(2 / steps, abs=2)
    assert views[75] == "arriving"
    assert views.index("people") == pytest.approx(75 + 1 / steps, abs=2)
    assert views[174] == "people"
    assert views.index("nobody", 176) == pytest.approx(175 + 0.5 / steps, abs=2)
    assert views[-1] == "nobody"


def test_a_pause_or_another_size_starts_over() -> None:
    window = PoseWindow(LAYOUT, 1.0, 1)
    fill(window, np.arange(50) / 25)
    window.add(walker(3.5), SIZE, 3.5)
    assert window.num_images == 1 and window.poses().view == "gathering"
    fill(window, 3.5 + np.arange(1, 50) / 25)
    assert window.poses().view == "people"
    window.add(walker(5.5), (320, 240), 5.5)
    assert window.num_images == 1
    window.clear()
    assert window.num_images == 0


def test_lines_between_known_values() -> None:
    times = np.array([0.0, 1.0, 4.0])
    values = np.array([[1.0, 0.0], [3.0, 1.0], [0.0, 7.0]], np.float32)
    at = np.linspace(-1, 5, 25)
    found = interpolate(at, times, values)
    for column in range(2):
        np.testing.assert_allclose(found[:, column], np.interp(at, times, values[:, column]))
    np.testing.assert_allclose(interpolate(at, times[:1], values[:1]), np.tile(values[:1], (25, 1)))


@pytest.mark.parametrize(
    ("seconds", "rate", "bodies"), [(61, 30, 1), (0.03, 30, 1), (60, 1000, 1), (2, 30, 0)]
)
def test_windows_that_cannot_be(seconds: float, rate: float, bodies: int) -> None:
    with pytest.raises(InputError):
        PoseWindow(LAYOUT, seconds, bodies, rate)
