"""Progress notices of long work, sent to a function that listens; by default none does."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

INTERVAL_SECONDS = 2.0  # between two notices

Item = TypeVar("Item")


@dataclass(frozen=True)
class PassProgress:
    """Progress of a pass over clips that is no training.

    Attributes:
        task: Name of the work, such as "scoring".
        clips: Number of clips that are done.
        total: Number of clips of the pass.
    """

    task: str
    clips: int
    total: int


@dataclass(frozen=True)
class StepProgress:
    """Progress within an epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        step: Number of its completed steps.
        steps: Number of its steps.
        loss: Mean training loss since the last notice, of the clips and networks of one worker.
        clips_per_second: Clips that all workers together trained on in a second, since the last
            notice.
        step_seconds: Mean duration in seconds of a step of the epoch, since it began or resumed.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    clips_per_second: float
    step_seconds: float

    @property
    def seconds_left(self) -> float:
        """Estimated seconds until the last step of the epoch."""
        return self.step_seconds * (self.steps - self.step)

    @property
    def steps_of_all_epochs(self) -> int:
        """Number of completed steps, those of earlier epochs included."""
        return (self.epoch - 1) * self.steps + self.step


Notify = Callable[[PassProgress | StepProgress], None]
_listener: ContextVar[Notify | None] = ContextVar("listener", default=None)


@contextmanager
def listening(notify: Notify) -> Iterator[None]:
    """Send the notices of this thread to a function, until the end of the block."""
    token = _listener.set(notify)
    try:
        yield
    finally:
        _listener.reset(token)


def listener() -> Notify | None:
    """Return the function that listens on this thread, None where there is none."""
    return _listener.get()


def watched(
    items: Iterable[Item],
    task: str,
    total: int,
    clips_of: Callable[[Item], int] = lambda _: 1,
) -> Iterator[Item]:
    """Yield the items of a pass over clips, with a notice every few seconds.

    Args:
        items: Clips, or batches of clips.
        task: Name of the work on them, such as "scoring".
        total: Number of clips of the pass.
        clips_of: Returns the number of clips of an item. Default: one.
    """
    notify = listener()
    if notify is None:
        yield from items
        return
    done, noticed = 0, time.monotonic()
    for item in items:
        yield item
        done += clips_of(item)
        now = time.monotonic()
        if now - noticed >= INTERVAL_SECONDS:
            noticed = now
            notify(PassProgress(task, min(done, total), total))
