"""Terminal display of a run in progress: lines for phases and epochs, and a live bar."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from hhmnet_core.notices import PassProgress, StepProgress, listening
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.members import ALL

# Without a terminal, the longest silence of work that sends notices, so a line comes each minute.
SILENT_SECONDS = 55.0


class Display:
    """Display of phases and epochs: a live bar on a terminal, plain lines elsewhere.

    Args:
        epochs: Number of epochs of the run.
        console: Console to print on. Default: stdout.
    """

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        self.console = console or _stdout()
        self._epochs = epochs
        self._header_shown = False
        self._first_epoch: int | None = None
        self._within: StepProgress | None = None  # of the epoch that is in progress
        self._started = self._updated = self._spoke = time.monotonic()
        self._seconds_per_epoch = 0.0
        self._bar = _bar(self.console)
        self._task = self._bar.add_task("starting", total=epochs, left="")
        self._live = self.console.is_terminal

    def __enter__(self) -> Self:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._bar.stop()

    def phase(self, text: str) -> None:
        """Show the start of a step that takes seconds."""
        self._bar.update(self._task, description=text)
        self.say(text)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._spoke = time.monotonic()
        self.console.print(text, markup=False, emoji=False)

    def notice(self, notice: PassProgress | StepProgress) -> None:
        """Show how far an epoch or a pass is: on the bar, or in a line after a minute's silence."""
        text = notice_text(notice)
        if isinstance(notice, StepProgress):
            self._within = notice
            pace = self._seconds_per_epoch or notice.step_seconds * notice.steps
            left = notice.seconds_left + pace * (self._epochs - notice.epoch)
            done = notice.epoch - 1 + notice.step / notice.steps
            self._bar.update(self._task, completed=done, left=f"{clock(left)} left")
            line = f"{text}; {clock(notice.seconds_left)} left in epoch {notice.epoch}"
            line += f" of {self._epochs}, {clock(left)} in all"
        else:
            line = text
        self._bar.update(self._task, description=text)
        if not self._live and time.monotonic() - self._spoke >= SILENT_SECONDS:
            self.say(line)

    def epoch(self, record: EpochRecord) -> None:
        """Print a finished epoch and advance the bar."""
        now, epoch = time.monotonic(), record.epoch
        if self._first_epoch is None:
            self._first_epoch, self._started = epoch - 1, now - record.seconds
        self._seconds_per_epoch = (now - self._started) / (epoch - self._first_epoch)
        self._updated = now
        if not self._header_shown:
            self._header_shown = True
            self.say(header(record, self._epochs))
        self.say(epoch_line(record, self._epochs, self._seconds_per_epoch))
        if self._within is None or self._within.epoch <= epoch:
            self._within = None
            self._bar.update(self._task, description=f"epoch {min(epoch + 1, self._epochs)}")
        self.tick(epoch)

    def resumed(self, epoch: int) -> None:
        """Restart the timing: workers start, or start again, after this epoch."""
        self._first_epoch = self._within = None
        self._seconds_per_epoch = 0.0
        self._bar.update(self._task, completed=epoch, left="")

    def tick(self, epochs_done: int) -> None:
        """Move the bar between two epochs, by the mean duration of the epochs so far.

        Within an epoch whose steps are known, they move it.
        """
        pace = self._seconds_per_epoch
        if not pace or self._within is not None:
            return
        elapsed = time.monotonic() - self._updated
        fraction = min(elapsed / pace, 0.95) if epochs_done < self._epochs else 0.0
        left = pace * (self._epochs - epochs_done - fraction)
        self._bar.update(self._task, completed=epochs_done + fraction, left=f"{clock(left)} left")


@contextmanager
def showing_passes(console: Console | None = None) -> Iterator[None]:
    """Show the passes over clips in the block: a bar on a terminal, elsewhere a line a minute."""
    console = console or _stdout()
    spoke = time.monotonic()
    bar = _bar(console)
    task = bar.add_task("", left="")

    def show(notice: PassProgress | StepProgress) -> None:
        nonlocal spoke
        if isinstance(notice, PassProgress) and console.is_terminal:
            bar.update(
                task, description=notice_text(notice), completed=notice.clips, total=notice.total
            )
            bar.start()
        elif time.monotonic() - spoke >= SILENT_SECONDS:
            spoke = time.monotonic()
            console.print(notice_text(notice), markup=False, emoji=False)

    try:
        with listening(show):
            yield
    finally:
        if bar.live.is_started:
            bar.stop()


def notice_text(notice: PassProgress | StepProgress) -> str:
    """Return a notice as text."""
    if isinstance(notice, PassProgress):
        return f"{notice.task}: {notice.clips:,} of {notice.total:,} clips"
    return (
        f"epoch {notice.epoch}: step {notice.step:,} of {notice.steps:,}, "
        f"loss {notice.loss:.3f}, {notice.clips_per_second:,.0f} clips/s"
    )


def _stdout() -> Console:
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True)


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[left]}", markup=False),
        console=console,
        transient=True,
        get_time=time.monotonic,
    )


def header(record: EpochRecord, epochs: int) -> str:
    """Return the column headings for `epoch_line`."""
    width = 2 * len(str(epochs)) + 1
    split, accuracies = _accuracies(record)
    members = "  ".join(f"{member:>6}" for member in accuracies)
    above = f"{'':>{width}}    train  {split} top-1"
    return f"{above}\n{'epoch':<{width}}     loss  {members}    time      left"


def epoch_line(record: EpochRecord, epochs: int, seconds_per_epoch: float) -> str:
    """Return an epoch as a row: mean train loss, top-1 by member, seconds, time left."""
    width = len(str(epochs))
    losses = [values["train/loss"] for values in record.metrics.values() if "train/loss" in values]
    accuracies = "  ".join(
        f"{top1:>{max(6, len(member))}.1%}" for member, top1 in _accuracies(record)[1].items()
    )
    left = clock(seconds_per_epoch * (epochs - record.epoch))
    mean = sum(losses) / max(1, len(losses))
    return (
        f"{record.epoch:>{width}}/{epochs}  {mean:>7.3f}  {accuracies}  "
        f"{record.seconds:>5.1f} s  {left:>7}"
    )


def _accuracies(record: EpochRecord) -> tuple[str, dict[str, float]]:
    """Return the split, val or else train, and the top-1 accuracies on it by member."""
    metrics = record.metrics
    split = "val" if any("val/top1" in values for values in metrics.values()) else "train"
    name = f"{split}/top1"
    return split, {m: metrics[m][name] for m in ALL if name in metrics.get(m, {})}


def clock(seconds: float) -> str:
    """Return a duration as m:ss, or as h:mm:ss from one hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
