"""From the images of a source to labels: poses at each, a prediction at every stride.

The networks run on a thread of their own, so that images are posed while they compute. One window
is predicted at a time: where the networks take longer than a stride, the next window is that of the
moment at which they are done.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hhmnet_core.live.buffer import Arrived
from hhmnet_core.live.window import PoseWindow, View
from hhmnet_core.poses.contract import Estimator, People
from hhmnet_core.poses.tracks import PoseTracks
from hhmnet_core.sources.video_decoding import Image

Probabilities = NDArray[np.float64]
Predict = Callable[[PoseTracks], Probabilities | None]


@dataclass(frozen=True)
class Label:
    """What a window shows.

    Attributes:
        view: Whether people were seen in it; without "people" there is no prediction.
        arrival: Arrival of the newest image in the window, in seconds of the monotonic clock.
        lag: Seconds that this image came later than the promptest ones.
        probabilities: (K,) probabilities of the classes. None without people.
    """

    view: View
    arrival: float
    lag: float
    probabilities: Probabilities | None = None


@dataclass(frozen=True)
class Posed:
    """An image and the people in it."""

    image: Image
    people: People


class LiveSession:
    """The poses and labels of a stream.

    Args:
        estimator: Estimator of the poses.
        window: Window that is predicted.
        stride: Seconds from one prediction to the next.
        predict: Function that returns the probabilities (K,) of the classes for a window, None
            where no joint of it is known.
    """

    def __init__(
        self, estimator: Estimator, window: PoseWindow, stride: float, predict: Predict
    ) -> None:
        self._estimator, self._window = estimator, window
        self._stride, self._predict = stride, predict
        self._networks = ThreadPoolExecutor(1, "networks")
        self._next: float | None = None
        self._running: tuple[Label, Future[Probabilities | None]] | None = None
        self._label: Label | None = None
        estimator.reset()

    def add(self, arrived: Arrived) -> Posed:
        """Estimate the poses of an image and, where a prediction is due, begin it."""
        image = arrived.decode()
        people = self._estimator.estimate(image)
        self._window.add(people, (image.shape[1], image.shape[0]), arrived.time)
        if self._next is None:
            self._next = arrived.time
        if arrived.time >= self._next and self._running is None:
            self._next += self._stride
            if self._next <= arrived.time:  # the source or the networks have fallen behind
                self._next = arrived.time + self._stride
            self._begin(arrived)
        return Posed(image, people)

    def label(self) -> Label | None:
        """Return a label that was not returned before, None while there is none."""
        if self._running is not None and self._running[1].done():
            label, future = self._running
            self._running = None
            if (probabilities := future.result()) is None:
                return replace(label, view="nobody")
            return replace(label, probabilities=probabilities)
        unpredicted, self._label = self._label, None
        return unpredicted

    def restart(self) -> None:
        """Forget the images of the last connection."""
        self._window.clear()
        self._estimator.reset()

    def close(self) -> None:
        """Wait for the prediction that is running, and end its thread."""
        self._networks.shutdown(cancel_futures=True)

    def _begin(self, arrived: Arrived) -> None:
        poses = self._window.poses()
        label = Label(poses.view, arrived.arrival, arrived.lag)
        if poses.view == "people":
            self._running = label, self._networks.submit(self._predict, poses.tracks)
        else:
            self._label = label
