"""Terminal display of a run in progress."""

import io

import pytest
from rich.console import Console

from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.figures.progress import Display, clock, epoch_line, header


def record(epoch: int, split: str = "val") -> EpochRecord:
    metrics = {name: {"train/loss": 1.5, f"{split}/top1": 0.25 * epoch / 4} for name in MODALITIES}
    fusion = {"fusion": {"val/top1": 0.5}} if split == "val" else {}
    return EpochRecord(epoch, 2.0, metrics | fusion)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.6, "1:00"), (125, "2:05"), (3725, "1:02:05")]
)
def test_clock_shows_hours_where_there_are_any(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_epoch_line_is_aligned_with_its_header() -> None:
    heads = header(record(3), 40).splitlines()[-1]
    line = epoch_line(record(3), 40, seconds_per_epoch=2.5)
    assert (
        line
        == " 3/40    1.500   18.8%   18.8%         18.8%        18.8%   50.0%    2.0 s     1:32"
    )
    for name in (*MODALITIES, "fusion"):
        end = heads.index(f" {name} ") + len(name)
        assert line[end] == "%"


def test_epoch_line_shows_train_where_there_is_no_val() -> None:
    shown = record(4, "train")
    assert "train top-1" in header(shown, 40)
    assert "25.0%" in epoch_line(shown, 40, 1.0)


def test_texts_are_no_markup_on_a_terminal() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80, markup=False, emoji=False)
    with Display(2, console) as display:
        display.phase("[Errno 28] of [/data]; starting again")
    assert "[Errno 28] of [/data]" in output.getvalue()


def test_output_that_is_no_terminal_gets_plain_lines() -> None:
    output = io.StringIO()
    with Display(2, Console(file=output, soft_wrap=True)) as display:
        display.phase("starting Ray")
        display.resumed(0)
        display.epoch(record(1))
        display.tick(1)
        display.epoch(record(2))
    lines = output.getvalue().splitlines()
    assert lines[0] == "starting Ray"
    assert [line[:3] for line in lines[-2:]] == ["1/2", "2/2"]
    assert "\x1b" not in output.getvalue()


def test_terminal_gets_a_bar_that_moves() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120)
    with Display(4, console) as display:
        display.phase("starting Ray")
        display.epoch(record(1))
        display.tick(1)
    assert "left" in output.getvalue() and "\x1b" in output.getvalue()
