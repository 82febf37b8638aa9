"""A pose estimator that stops when the time of its video is over."""

import time
from dataclasses import dataclass, field

from hhmnet_core.poses.contract import Estimator, EstimatorConfig, People
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.sources.video_decoding import Image


class OutOfTimeError(Exception):
    """The time of a request is over, or its client has left."""


@dataclass
class Clock:
    """The time that a request may still take.

    Attributes:
        ends: Moment of the monotonic clock at which it is over.
    """

    ends: float = float("inf")

    def check(self) -> None:
        """Raise OutOfTimeError where the time is over."""
        if time.monotonic() > self.ends:
            raise OutOfTimeError


@dataclass
class TimedConfig:
    """Settings of an estimator that looks at a clock before each image.

    Attributes:
        config: Settings of the estimator.
        clock: Time of the video at hand. It is replaced for each video.
    """

    config: EstimatorConfig
    clock: Clock = field(default_factory=Clock)

    @property
    def layout(self) -> Layout:
        return self.config.layout

    @property
    def advice(self) -> str:
        return self.config.advice

    def fingerprint(self) -> dict[str, str]:
        return self.config.fingerprint()

    def open(self, threads: int = 1) -> Estimator:
        return _TimedEstimator(self.config.open(threads), self)


@dataclass
class _TimedEstimator:
    estimator: Estimator
    timed: TimedConfig

    @property
    def layout(self) -> Layout:
        return self.estimator.layout

    def reset(self) -> None:
        self.estimator.reset()

    def estimate(self, image: Image) -> People:
        self.timed.clock.check()
        return self.estimator.estimate(image)
