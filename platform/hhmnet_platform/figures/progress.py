"""Terminal display of a run in progress: lines for phases and epochs, and a live bar."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.members import ALL


class Display:
    """Display of phases and epochs: a live bar on a terminal, plain lines elsewhere.

    Args:
        epochs: Number of epochs of the run.
        console: Console to print on. Default: stdout.
    """

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        self.console = console or Console(
            markup=False, emoji=False, highlight=False, soft_wrap=True
        )
        self._epochs = epochs
        self._header_shown = False
        self._first_epoch: int | None = None
        self._started = self._updated = time.monotonic()
        self._seconds_per_epoch = 0.0
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[left]}", markup=False),
            console=self.console,
            transient=True,
            get_time=time.monotonic,
        )
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
        self.console.print(text, markup=False, emoji=False)

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
        self._bar.update(self._task, description=f"epoch {min(epoch + 1, self._epochs)}")
        self.tick(epoch)

    def resumed(self, epoch: int) -> None:
        """Restart the timing: workers start, or start again, after this epoch."""
        self._first_epoch = None
        self._seconds_per_epoch = 0.0
        self._bar.update(self._task, completed=epoch, left="")

    def tick(self, epochs_done: int) -> None:
        """Move the bar between two epochs, by the mean duration of the epochs so far."""
        pace = self._seconds_per_epoch
        if not pace:
            return
        elapsed = time.monotonic() - self._updated
        fraction = min(elapsed / pace, 0.95) if epochs_done < self._epochs else 0.0
        left = pace * (self._epochs - epochs_done - fraction)
        self._bar.update(self._task, completed=epochs_done + fraction, left=f"{clock(left)} left")


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
