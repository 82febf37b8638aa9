"""The choice of cases: seeded, repeatable by id, and continued where a whole run stopped."""

from pathlib import Path
from typing import Any

import pytest
from faults.cases import Log, Outcome
from faults.run import choose, report


def ids(chosen: dict[str, list[Any]]) -> list[str]:
    return [case.id for section in chosen.values() for case in section]


def test_a_sample_is_seeded_and_part_of_what_can_be_repeated() -> None:
    sample = ids(choose(1, full=False, only=""))
    assert sample == ids(choose(1, full=False, only="")) != ids(choose(2, full=False, only=""))
    assert sample[0] in ids(choose(1, full=True, only=sample[0]))
    every = ids(choose(1, full=True, only=""))
    assert len(set(every)) == len(every)


def test_whole_run_goes_on_where_it_stopped() -> None:
    every = ids(choose(1, full=True, only=""))
    assert ids(choose(1, full=True, only="", done=every[5:])) == every[:5]


def test_failures_decide_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path, "")
    log.add(Outcome("file/a/b-0", "equal"))
    assert report(log, {"file/a/b-0"}, 2) == 0
    log.add(Outcome("file/a/c-0", "hang", "no end"))
    assert report(log, {"file/a/b-0", "file/a/c-0"}, 2) == 1
    printed = capsys.readouterr().out
    assert "1 not run for lack of time" in printed and "file/a/c-0: hang: no end" in printed
