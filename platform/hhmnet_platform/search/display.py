"""Terminal output of a search in progress: a line for each trial that ends, and a live table."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hhmnet_platform.figures.progress import clock
from hhmnet_platform.search.config import METRIC
from hhmnet_platform.search.space import Values

MAX_ROWS = 12


@dataclass
class Row:
    """A trial as a row of the table."""

    number: int
    values: Values
    state: str = "running"
    epoch: int = 0
    top1: float = 0.0
    seconds: float = 0.0


class SearchDisplay:
    """Shows the trials of this process. Without a terminal, it prints the lines only.

    Args:
        epochs: Epochs of a complete trial.
        console: Console to print on. None for the terminal.
    """

    def __init__(self, epochs: int, console: Console | None = None) -> None:
        self.console = console or Console(
            markup=False, emoji=False, highlight=False, soft_wrap=True
        )
        self._epochs = epochs
        self._rows: dict[str, Row] = {}
        self._ended = 0
        self._live = Live(console=self.console, transient=True, auto_refresh=False)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def started(self, trial: str, values: Values) -> None:
        """Show a trial that starts with these values."""
        self._rows.setdefault(trial, Row(len(self._rows) + 1, dict(values)))
        self._draw()

    def reported(self, trial: str, result: Mapping[str, Any]) -> None:
        """Show the result of a trial's epoch."""
        row = self._rows[trial]
        row.epoch, row.top1 = result["epoch"], result[METRIC]
        row.seconds = result["time_total_s"]
        self._draw()

    def ended(self, trial: str, error: bool = False) -> None:
        """Show that a trial has ended: complete, stopped or failed."""
        row = self._rows[trial]
        row.state = "failed" if error else "complete" if row.epoch == self._epochs else "stopped"
        self._ended += 1
        top1 = "no val top-1" if not row.epoch else f"val top-1 {row.top1:.1%}"
        self.console.print(
            f"trial {self._ended:>3}  {top1} after {row.epoch} epochs ({row.state}), "
            f"{clock(row.seconds)}: {format_values(row.values)}",
            markup=False,
        )
        self._draw()

    def table(self) -> Table:
        """Return the table of running trials and of the best of the others."""
        table = Table()
        for name in ("trial", "state", "epoch", "val top-1", "time", "values"):
            table.add_column(name, justify="left" if name in ("state", "values") else "right")
        order = sorted(
            self._rows.values(), key=lambda row: (row.state != "running", -row.top1, row.number)
        )
        for row in order[:MAX_ROWS]:
            table.add_row(
                str(row.number),
                row.state,
                f"{row.epoch} of {self._epochs}",
                f"{row.top1:.1%}" if row.epoch else "",
                clock(row.seconds),
                format_values(row.values),
            )
        if len(order) > MAX_ROWS:
            table.caption = f"and {len(order) - MAX_ROWS} more"
        return table

    def _draw(self) -> None:
        if self.console.is_terminal:
            self._live.update(self.table(), refresh=True)


def format_values(values: Values) -> str:
    """Return values of searched fields in one line."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
