"""Outcomes, their log and their table."""

from pathlib import Path

from faults.cases import FAILURES, PASSES, Log, Outcome, judge_end, table
from faults.isolated import Ended


def test_end_of_a_process_decides_the_outcome() -> None:
    for ended, expected in (
        (Ended("returned", ("refused", "a.json is damaged"), "", 1), "refused"),
        (Ended("hang", None, "", 60), "hang"),
        (Ended("memory", None, "", 1), "memory"),
        (Ended("crash", None, "Traceback ...\nKeyError: 'a'", 1), "traceback"),
        (Ended("crash", None, "\nended by signal 11", 1), "crash"),
    ):
        assert judge_end(ended, "file/a/b-0").outcome == expected
    assert not PASSES.keys() & FAILURES.keys()


def test_log_goes_on_with_outcomes_of_the_same_sources(tmp_path: Path) -> None:
    log = Log(tmp_path, "1/abc")
    log.add(Outcome("file/a/b-0", "equal"))
    log.add(Outcome("file/a/c-0", "traceback", "KeyError", output="all of it"), [tmp_path])
    assert set(Log(tmp_path, "1/abc").outcomes) == {"file/a/b-0", "file/a/c-0"}
    assert not Log(tmp_path, "1/other").outcomes
    (kept,) = (tmp_path / "failures").iterdir()
    assert (kept / "output.txt").read_text() == "all of it"
    log.add(Outcome("file/a/c-0", "refused"))
    assert not kept.exists()


def test_table_counts_by_group() -> None:
    outcomes = [Outcome(f"file/a/b-{n}", "equal") for n in range(3)]
    heading, row = table([*outcomes, Outcome("file/a/c-0", "hang")]).splitlines()
    assert heading.split() == ["equal", "hang"] and row.split() == ["file/a", "3", "1"]
