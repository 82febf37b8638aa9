"""Terminal display of a run in progress."""

import io

import pytest
from rich.console import Console

from hhmnet_core import notices
from hhmnet_core.notices import PassProgress, StepProgress, watched
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.records import EpochRecord
from hhmnet_platform.figures import progress
from hhmnet_platform.figures.progress import (
    SILENT_SECONDS,
    Display,
    clock,
    epoch_line,
    header,
    showing_passes,
)


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


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def plain(output: io.StringIO) -> Console:
    return Console(file=output, soft_wrap=True, highlight=False)


def test_long_epochs_get_a_line_a_minute_where_there_is_no_terminal(time: Clock) -> None:
    output = io.StringIO()
    with Display(4, plain(output)) as display:
        display.phase("training on host")
        for second in range(2, 182, 2):
            time.now += 2
            display.notice(StepProgress(1, 10 * second, 2400, 3.2144, 1512.4, 0.1))
            display.tick(0)
    lines = output.getvalue().splitlines()
    assert len(lines) == 4  # of three minutes, and the first
    assert lines[1] == (
        "epoch 1: step 560 of 2,400, loss 3.214, 1,512 clips/s; 3:04 left in epoch 1 of 4, "
        "15:04 in all"
    )


def test_short_epochs_get_no_more_lines_than_before(time: Clock) -> None:
    output = io.StringIO()
    with Display(9, plain(output)) as display:
        for epoch in range(1, 10):
            for step in range(1, 20):
                time.now += 2
                display.notice(StepProgress(epoch, step, 20, 1.0, 10.0, 2.0))
                display.notice(PassProgress("scoring", step, 20))
            display.epoch(record(epoch))
    lines = output.getvalue().splitlines()
    assert len(lines) == 2 + 9 and "step" not in output.getvalue()


def test_pass_gets_a_line_after_a_minute_of_silence(time: Clock) -> None:
    output = io.StringIO()
    with Display(9, plain(output)) as display:
        time.now += SILENT_SECONDS
        display.notice(PassProgress("measuring the inputs", 12_000, 113_945))
    assert output.getvalue() == "measuring the inputs: 12,000 of 113,945 clips\n"


def test_bar_moves_with_the_steps_of_an_epoch(time: Clock) -> None:
    output = io.StringIO()
    display = Display(4, Console(file=output, force_terminal=True, width=120))
    with display:
        display.notice(StepProgress(1, 30, 40, 1.5, 800.0, 2.0))
        (task,) = display._bar.tasks
        assert task.completed == 0.75 and task.fields["left"] == "4:20 left"
        assert task.description == "epoch 1: step 30 of 40, loss 1.500, 800 clips/s"
        display.notice(StepProgress(2, 10, 40, 1.5, 800.0, 2.0))
        display.epoch(record(1))  # its message comes later than the steps after it
        time.now += 1
        display.tick(1)
        assert task.completed == 1.25 and task.description.startswith("epoch 2: step 10")
        display.epoch(record(2))
        assert task.completed == 2 and task.description == "epoch 3"
        display.notice(StepProgress(3, 20, 40, 1.5, 800.0, 2.0))
        display.resumed(2)
        assert task.completed == 2 and task.fields["left"] == ""


def test_bar_and_its_texts_fit_a_narrow_terminal() -> None:
    output = io.StringIO()
    with Display(200, Console(file=output, force_terminal=True, width=80)) as display:
        display.notice(StepProgress(112, 1_240, 7_122, 3.214, 1512.0, 0.4))
        display._bar.refresh()
        shown = output.getvalue()
    assert "epoch 112: step 1,240 of 7,122, loss 3.214, 1,512 clips/s" in shown
    assert "70:17:27 left" in shown


@pytest.mark.parametrize("terminal", [True, False])
def test_passes_are_shown_while_nothing_else_is(
    terminal: bool, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "INTERVAL_SECONDS", 0.0)
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, soft_wrap=True, highlight=False)
    with showing_passes(console):
        for _ in watched(range(4), "reading", 4):
            time.now += SILENT_SECONDS / 2
    if terminal:
        assert "reading: 1 of 4 clips" in output.getvalue() and "\x1b" in output.getvalue()
    else:
        assert output.getvalue() == "reading: 2 of 4 clips\nreading: 4 of 4 clips\n"
