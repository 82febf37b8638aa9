"""Predictions fall due by the time of the images, one at a time."""

import threading

import numpy as np
import pytest
from drawn_people import LAYOUT, Script, crowd, person

from hhmnet_core.live.buffer import Arrived
from hhmnet_core.live.session import Label, LiveSession, Predict
from hhmnet_core.live.window import PoseWindow
from hhmnet_core.poses.contract import People
from hhmnet_core.poses.tracks import PoseTracks

SHARES = np.array([0.2, 0.8])


def arrived(time: float, late: float = 0.0) -> Arrived:
    return Arrived(lambda: np.full((48, 64, 3), 128, np.uint8), time, time + late)


def wait_for(session: LiveSession) -> Label:
    while (label := session.label()) is None:
        threading.Event().wait(0.001)
    return label


def run(
    images: list[People], predict: Predict, stride: float = 0.5, rate: int = 25
) -> list[Label | None]:
    """Return the label at each image; each prediction is waited for."""
    session = LiveSession(Script(images), PoseWindow(LAYOUT, 1.0, 1), stride, predict)
    labels: list[Label | None] = []
    for number in range(len(images)):
        posed = session.add(arrived(number / rate, late=0.03))
        assert posed.image.shape == (48, 64, 3)
        is_running = session._running is not None
        labels.append(wait_for(session) if is_running else session.label())
    session.close()
    return labels


def test_a_prediction_at_every_stride_on_a_whole_window() -> None:
    windows: list[PoseTracks] = []

    def predict(tracks: PoseTracks) -> np.ndarray:
        windows.append(tracks)
        return SHARES

    labels = run([person(100 + t) for t in range(100)], predict)
    due = [number for number, label in enumerate(labels) if label]
    assert [number / 25 for number in due] == pytest.approx(np.arange(8) * 0.5, abs=0.04)
    views = [label.view for label in labels if label]
    assert views == ["gathering"] * 2 + ["people"] * 6
    assert len(windows) == 6 and all(tracks.num_frames == 30 for tracks in windows)
    last = labels[due[-1]]
    assert last and last.probabilities is SHARES
    assert last.arrival == pytest.approx(due[-1] / 25 + 0.03) and last.lag == pytest.approx(0.03)


def test_where_nobody_or_no_joint_is_known_there_is_no_prediction() -> None:
    labels = run([crowd()] * 60, lambda tracks: SHARES)
    assert [label.view for label in labels if label] == ["gathering"] * 2 + ["nobody"] * 3
    labels = run([person(100)] * 60, lambda tracks: None)
    assert [label.view for label in labels if label][-1] == "nobody"
    assert not any(label.probabilities is not None for label in labels if label)


def test_images_are_posed_while_the_networks_compute() -> None:
    done, started = threading.Event(), []

    def predict(tracks: PoseTracks) -> np.ndarray:
        started.append(tracks)
        assert done.wait(30)
        return SHARES

    images = [person(100)] * 200
    script = Script(images)
    session = LiveSession(script, PoseWindow(LAYOUT, 1.0, 1), 0.5, predict)
    for number in range(100):
        session.add(arrived(number / 25))
        label = session.label()
        assert label is None or label.view == "gathering"
    assert script.next == 100 and len(started) == 1
    done.set()
    assert wait_for(session).arrival == pytest.approx(1.0, abs=0.1)
    # The next window is that of now, and those that were missed are not made up for.
    session.add(arrived(4.0))
    assert wait_for(session).arrival == 4.0
    for number in range(101, 112):
        session.add(arrived(number / 25))
    assert session._running is None and len(started) == 2
    session.close()


def test_what_the_networks_raise_comes_out() -> None:
    def predict(tracks: PoseTracks) -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([person(100)] * 60, predict)


def test_a_new_connection_starts_over() -> None:
    script = Script([person(100)] * 80)
    session = LiveSession(script, PoseWindow(LAYOUT, 1.0, 1), 0.1, lambda tracks: SHARES)
    for number in range(40):
        session.add(arrived(number / 25))
    assert wait_for(session).view == "people"
    session.restart()
    assert script.next == 0
    session.add(arrived(1.9))
    assert wait_for(session).view == "gathering"
    session.close()
