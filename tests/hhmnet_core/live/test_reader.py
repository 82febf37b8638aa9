"""Sources are opened again after ever longer pauses, and their images are handed on."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from hhmnet_core.live.addresses import LiveAddress
from hhmnet_core.live.buffer import NewestImage
from hhmnet_core.live.reader import SourceEvent, SourceReader
from hhmnet_core.live.stream import SourceError

CAMERA = LiveAddress("0", "/dev/video0", "v4l2")


class Source:
    """A source that was opened: images, and how it ends."""

    def __init__(self, count: int, has_end: bool = False, reason: str = "") -> None:
        self.count, self.has_end, self.reason = count, has_end, reason
        self.comes_ahead = has_end

    def frames(self) -> Iterator[av.VideoFrame]:
        for number in range(self.count):
            frame = av.VideoFrame.from_ndarray(np.full((4, 6, 3), 200, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            yield frame
        if self.reason:
            raise SourceError(self.reason)


def opener(*attempts: Source | str | Exception) -> Callable[..., AbstractContextManager[Any]]:
    """Return a function that opens sources one after the other; a text is why one cannot be."""
    left = list(attempts)

    @contextmanager
    def open_source(address: LiveAddress) -> Iterator[Any]:
        assert address is CAMERA
        attempt = left.pop(0)
        if isinstance(attempt, Exception):
            raise attempt
        if isinstance(attempt, str):
            raise SourceError(attempt)
        yield attempt

    return open_source


def read(*attempts: Source | str | Exception, events: int) -> tuple[list[SourceEvent], NewestImage]:
    images = NewestImage()
    source = SourceReader(CAMERA, images, opener(*attempts))
    source.start()
    found = [source.events.get(timeout=20) for _ in range(events)]
    source.stop()
    return found, images


def test_pauses_double_and_start_over_with_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    images = NewestImage()
    attempts = ["refused"] * 8
    source = SourceReader(
        CAMERA, images, opener(Source(3), *attempts, Source(1), "refused", Source(2, True))
    )
    monkeypatch.setattr(source._is_stopped, "wait", lambda seconds: waited.append(seconds))
    source.start()
    kinds = [source.events.get(timeout=20) for _ in range(15)]
    source.stop()
    doubled = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    pauses = [seconds for seconds in waited if seconds >= 0.5]
    assert pauses == [*doubled, 0.5, 1]
    assert [event.kind for event in kinds] == [
        "opened", "lost", *["lost"] * 8, "opened", "lost", "lost", "opened", "ended",
    ]  # fmt: skip
    assert kinds[1].reason == "it has ended" and kinds[2].reason == "refused"
    assert images.seen == 6


def test_a_source_that_cannot_be_opened_at_first_fails() -> None:
    (event,), images = read("connection refused", events=1)
    assert event == SourceEvent("failed", "connection refused") and images.seen == 0


def test_a_bug_is_reported() -> None:
    (event,), _ = read(ZeroDivisionError(), events=1)
    assert event.kind == "failed" and isinstance(event.error, ZeroDivisionError)


def test_a_recording_is_played_at_its_pace_and_ends() -> None:
    begin = time.monotonic()
    events, images = read(Source(11, has_end=True), events=2)
    assert [event.kind for event in events] == ["opened", "ended"]
    assert time.monotonic() - begin >= 0.39
    newest = images.take(0)
    assert newest is not None and (images.seen, images.dropped) == (11, 10)
    assert newest.decode().shape == (4, 6, 3) and newest.decode().mean() == pytest.approx(
        200, abs=2
    )
    assert 0 <= newest.lag < 1


def test_a_source_that_fails_is_lost() -> None:
    events, images = read(Source(2, reason="it sent nothing for 5 s"), events=2)
    assert events[1] == SourceEvent("lost", "it sent nothing for 5 s") and images.seen == 2
