"""Notices of long work, by a clock that the test sets."""

from pathlib import Path
from typing import Any

import pytest
from made_stores import make_clips, write_small_store

from hhmnet_core import notices
from hhmnet_core.notices import PassProgress, StepProgress, listener, listening, watched
from hhmnet_core.store.reading import load_clips


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        self.now += 0.5
        return self.now


def test_pass_sends_a_notice_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "time", Clock())
    sent: list[Any] = []
    with listening(sent.append):
        assert list(watched(range(10), "reading", 10)) == list(range(10))
    assert sent == [PassProgress("reading", done, 10) for done in (4, 8)]


def test_batches_count_their_clips_and_never_more_than_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notices, "INTERVAL_SECONDS", 0.0)
    sent: list[Any] = []
    with listening(sent.append):
        list(watched(["abc", "abc"], "scoring", 5, len))
    assert [notice.clips for notice in sent] == [3, 5]


def test_nobody_listens_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "INTERVAL_SECONDS", 0.0)
    sent: list[Any] = []
    with pytest.raises(RuntimeError), listening(sent.append):
        assert listener() == sent.append
        raise RuntimeError
    assert listener() is None
    assert list(watched("ab", "reading", 2)) == ["a", "b"] and sent == []


def test_reading_a_store_into_memory_sends_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "INTERVAL_SECONDS", 0.0)
    write_small_store(tmp_path / "store")
    sent: list[Any] = []
    with listening(sent.append):
        load_clips(tmp_path / "store", tmp_path / "cache")
    total = len(make_clips())
    task = f"reading {tmp_path / 'store'}"
    assert sent == [PassProgress(task, done, total) for done in range(1, total + 1)]
    with listening(sent.append):
        load_clips(tmp_path / "store", tmp_path / "cache")  # mapped
    assert len(sent) == total


def test_steps_are_counted_over_all_epochs() -> None:
    progress = StepProgress(3, 40, 100, 1.0, 50.0, 0.5)
    assert progress.steps_of_all_epochs == 240
    assert progress.seconds_left == 30.0
