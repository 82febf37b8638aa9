"""What the user sees while a run is on its way: a line a phase and an epoch, and a live bar."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from hhmnet_platform.members import ALL


class Display:
    """Shows phases and epochs; where the output is no terminal, plain lines alone."""

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._epochs = epochs
        self._headed = False
        self._first: int | None = None
        self._began = self._newest = time.monotonic()
        self._pace = 0.0
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[left]}"),
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
        """Something begins that takes seconds."""
        self._bar.update(self._task, description=text)
        self.say(text)

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text, markup=False, emoji=False)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """A finished epoch."""
        now, epoch = time.monotonic(), int(record["epoch"])
        if self._first is None:
            self._first, self._began = epoch - 1, now - record["seconds"]
        self._pace, self._newest = (now - self._began) / (epoch - self._first), now
        if not self._headed:
            self._headed = True
            self.say(header(record, self._epochs))
        self.say(epoch_line(record, self._epochs, self._pace))
        self._bar.update(self._task, description=f"epoch {min(epoch + 1, self._epochs)}")
        self.tick(epoch)

    def resumed(self, epoch: int) -> None:
        """Workers start (again) behind this epoch: what comes next is timed anew."""
        self._first = None
        self._pace = 0.0
        self._bar.update(self._task, completed=epoch, left="")

    def tick(self, epochs_done: int) -> None:
        """Lets the bar move between two epochs, by the pace so far."""
        if not self._pace:
            return
        since = time.monotonic() - self._newest
        within = min(since / self._pace, 0.95) if epochs_done < self._epochs else 0.0
        left = self._pace * (self._epochs - epochs_done - within)
        self._bar.update(self._task, completed=epochs_done + within, left=f"{clock(left)} left")


def header(record: Mapping[str, Any], epochs: int) -> str:
    """The heads of `epoch_line`'s columns."""
    width = 2 * len(str(epochs)) + 1
    part, shown = _shown(record)
    heads = "  ".join(f"{member:>6}" for member in shown)
    above = f"{'':>{width}}    train  {part} top-1"
    return f"{above}\n{'epoch':<{width}}     loss  {heads}    time      left"


def epoch_line(record: Mapping[str, Any], epochs: int, pace: float) -> str:
    """An epoch as a row: train loss, top-1 of each modality, seconds, time left."""
    width = len(str(epochs))
    losses = [
        values["train/loss"] for values in record["metrics"].values() if "train/loss" in values
    ]
    values = "  ".join(
        f"{value:>{max(6, len(name))}.1%}" for name, value in _shown(record)[1].items()
    )
    epoch = int(record["epoch"])
    left = clock(pace * (epochs - epoch))
    mean = sum(losses) / max(1, len(losses))
    return (
        f"{epoch:>{width}}/{epochs}  {mean:>7.3f}  {values}  {record['seconds']:>5.1f} s  {left:>7}"
    )


def _shown(record: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """Top-1 on val, or on train where there is no val."""
    metrics = record["metrics"]
    part = "val" if any("val/top1" in values for values in metrics.values()) else "train"
    name = f"{part}/top1"
    return part, {m: metrics[m][name] for m in ALL if name in metrics.get(m, {})}


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
