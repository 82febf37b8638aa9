"""Terminal output of a search: lines of trials that end, and a table of all."""

import io

from rich.console import Console

from hhmnet_platform.search.display import SearchDisplay, format_values


def shown(terminal: bool) -> tuple[SearchDisplay, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    with SearchDisplay(epochs=4, console=console) as display:
        display.started("a", {"contrast.temperature": 0.123456, "model.mask": True})
        display.started("b", {"contrast.temperature": 0.2, "model.mask": False})
        display.started("a", {})  # resumed: its values stay
        for epoch in (1, 2):
            display.reported("a", {"epoch": epoch, "val_top1": 0.25 * epoch, "time_total_s": 61.0})
        display.reported("b", {"epoch": 4, "val_top1": 0.75, "time_total_s": 125.0})
        display.ended("a")
        display.ended("b")
        display.started("c", {"contrast.temperature": 0.3})
        display.ended("c", error=True)
        display.started("d", {"contrast.temperature": 0.4})
    return display, out


def test_ended_trials_are_lines() -> None:
    lines = shown(terminal=False)[1].getvalue().splitlines()
    assert lines == [
        "trial   1  val top-1 50.0% after 2 epochs (stopped), 1:01: contrast.temperature 0.1235, "
        "model.mask True",
        "trial   2  val top-1 75.0% after 4 epochs (complete), 2:05: contrast.temperature 0.2, "
        "model.mask False",
        "trial   3  no val top-1 after 0 epochs (failed), 0:00: contrast.temperature 0.3",
    ]


def test_table_has_the_running_first_and_the_best_next() -> None:
    display, out = shown(terminal=True)
    columns = [list(column.cells) for column in display.table().columns]
    assert columns[0] == ["4", "2", "1", "3"]
    assert columns[1] == ["running", "complete", "stopped", "failed"]
    assert columns[2][1:3] == ["4 of 4", "2 of 4"]
    assert columns[3] == ["", "75.0%", "50.0%", ""]
    assert "4 of 4" in out.getvalue()  # drawn on the way


def test_values_are_one_line() -> None:
    values = {"contrast.temperature": 0.123456, "optim.batch": 8, "model.mask": True}
    assert format_values(values) == "contrast.temperature 0.1235, optim.batch 8, model.mask True"
