"""An estimator that stops when the time is over."""

import time

import numpy as np
import pytest

from hhmnet_core.poses.contract import People
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_platform.serving.server.timed import Clock, OutOfTimeError, TimedConfig

IMAGE = np.zeros((4, 4, 3), np.uint8)


class Nobody:
    """Settings of an estimator that finds nobody, and the estimator."""

    layout: Layout = get_layout("coco_17")
    advice = "look again"
    resets = images = 0

    def fingerprint(self) -> dict[str, str]:
        return {"estimator": "nobody"}

    def open(self, threads: int = 1) -> "Nobody":
        return self

    def reset(self) -> None:
        self.resets += 1

    def estimate(self, image: np.ndarray) -> People:
        self.images += 1
        return People.nobody(self.layout)


def test_it_is_the_estimator_until_the_time_is_over() -> None:
    inner = Nobody()
    timed = TimedConfig(inner)
    estimator = timed.open()
    assert timed.layout is estimator.layout is inner.layout
    assert timed.advice == "look again" and timed.fingerprint() == {"estimator": "nobody"}
    timed.clock = Clock(time.monotonic() + 60)
    estimator.reset()
    assert len(estimator.estimate(IMAGE)) == 0
    timed.clock.ends = 0.0  # as for a client that leaves
    with pytest.raises(OutOfTimeError):
        estimator.estimate(IMAGE)
    timed.clock = Clock(time.monotonic() + 60)  # of the next video
    estimator.estimate(IMAGE)
    assert (inner.resets, inner.images) == (1, 2)
