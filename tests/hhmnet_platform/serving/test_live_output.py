"""What a live prediction shows and writes."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from drawn_people import LAYOUT, crowd, person
from rich.console import Console

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.live.session import Label, Posed
from hhmnet_core.live.window import View
from hhmnet_platform.serving.live_output import (
    LiveLine,
    LiveOverlay,
    LiveRow,
    RowFile,
    check_rows_name,
    local_file,
    summary,
)

PLAIN = {"markup": False, "emoji": False, "highlight": False, "soft_wrap": True}
CLASSES = ("sit down", "walk [red]around[/red]")


def row(
    view: View = "people", shares: tuple[float, float] = (0.2, 0.8), limit: float = 0.5
) -> LiveRow:
    probabilities = np.array(shares) if view == "people" else None
    label = Label(view, arrival=100.0, lag=0.02, probabilities=probabilities)
    return LiveRow.of(label, CLASSES, limit, 100.25, 50, 3)


def test_a_prediction_as_text_and_json() -> None:
    sure, unsure = row(), row(limit=0.9)
    assert sure.text == f"{CLASSES[1]} 80.0%, age 0.25 s, lag 0.02 s, 50 images, 3 dropped"
    assert unsure.text.startswith(f"unsure ({CLASSES[1]}) 80.0%, age")
    record = json.loads(json.dumps(sure.record()))
    age = datetime.now(UTC) - datetime.fromisoformat(record.pop("time"))
    assert 0 <= age.total_seconds() < 60
    assert record == {
        "action": CLASSES[1],
        "predicted": CLASSES[1],
        "confidence": 0.8,
        "probabilities": dict(zip(CLASSES, (0.2, 0.8), strict=True)),
        "age_ms": 250.0,
        "lag_ms": 20.0,
        "images_seen": 50,
        "images_dropped": 3,
    }
    assert unsure.record()["action"] == "unsure" and unsure.record()["predicted"] == CLASSES[1]


def test_nobody_is_a_prediction_and_waiting_is_none() -> None:
    assert row("nobody").action == "nobody" and row("nobody").is_prediction
    assert row("nobody").record()["predicted"] is None
    for view in ("gathering", "arriving"):
        assert not row(view).is_prediction and "%" not in row(view).text  # type: ignore[arg-type]


def test_a_terminal_has_one_line_that_renews_itself() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=40, **PLAIN)
    line = LiveLine(console)
    line.show(row())
    line.show(row(shares=(0.6, 0.4)))
    line.say("The source is lost.")
    line.show(row())
    line.end()
    line.end()
    text = file.getvalue()
    assert text.count("\n") == 2
    lines = [part.replace("\x1b[2K", "") for part in text.replace("\n", "\r").split("\r") if part]
    assert len(lines) == 4 and all(len(each) <= 40 for each in lines)
    assert lines[0].startswith("walk [red]around[/red] 80.0%") and lines[0] == lines[3]
    assert lines[1].startswith("sit down 60.0%") and lines[2] == "The source is lost."


def test_elsewhere_each_change_of_the_action_is_a_line() -> None:
    file = io.StringIO()
    line = LiveLine(Console(file=file, width=40, **PLAIN))
    for each in (row(), row(), row(shares=(0.6, 0.4)), row("nobody"), row("nobody"), row()):
        line.show(each)
    line.say(None)
    line.end()
    lines = file.getvalue().splitlines()
    assert [each.split(" ", 1)[1][:8] for each in lines] == [
        "walk [re", "sit down", "nobody, ", "walk [re",
    ]  # fmt: skip
    assert lines[0].endswith("3 dropped")


def test_each_json_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "made" / "out.jsonl"
    with RowFile(path) as rows:
        for count in range(1, 4):
            rows.add(row())
            lines = path.read_text().splitlines()
            assert len(lines) == count and json.loads(lines[-1])["images_seen"] == 50
    (tmp_path / "file").write_text("")
    with pytest.raises(AccessError, match="Cannot write"):
        RowFile(tmp_path / "file" / "out.jsonl")


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.txt", "out"])
def test_tables_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InputError, match=r"is no \.jsonl or \.json: .* line by line"):
        check_rows_name(name)
    check_rows_name("out.jsonl")
    check_rows_name("OUT.JSON")


def test_files_elsewhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--out memory://a/out\.jsonl is not on this machine"):
        local_file("memory://a/out.jsonl", "--out")
    assert local_file(str(tmp_path / "a.mp4"), "--render") == tmp_path / "a.mp4"


def test_the_overlay_shows_people_and_the_last_label() -> None:
    image = np.full((240, 320, 3), 128, np.uint8)
    posed, empty = Posed(image, person(200, 150)), Posed(image, crowd())
    overlay = LiveOverlay(LAYOUT, CLASSES, 0.5, min_confidence=0.5)
    waiting = overlay.current()(empty)
    assert (waiting[100:200, 100:] == 128).all() and (waiting[:10] != 128).any()
    assert (overlay.current()(posed)[100:200, 150:250] != 128).any()
    strict = LiveOverlay(LAYOUT, CLASSES, 0.5, min_confidence=0.95)
    assert (strict.current()(posed)[100:200, 100:] == 128).all()
    for _ in range(300):
        overlay.add(Label("people", 0.0, 0.0, np.array([0.1, 0.9])), CLASSES[1])
    sure = overlay.current()(empty)
    strip = sure[-2, 5:-5].reshape(-1, 3)
    assert len(np.unique(strip, axis=0)) <= 2  # one action all along, and the cursor
    overlay.add(Label("nobody", 0.0, 0.0), "nobody")
    nobody = overlay.current()(empty)
    assert (nobody[26:54, :60] != sure[26:54, :60]).any() and (nobody[26:54] == 128).all()


def test_the_summary() -> None:
    ages = [0.1] * 50 + [0.2] * 50
    assert summary(1000, 20, 100, ages, 0) == (
        "1000 images, 20 dropped; 100 predictions, 0.15 s old in the median, 95 % below 0.20 s."
    )
    assert summary(0, 0, 0, [], 2) == (
        "0 images, 0 dropped; 0 predictions; 2 images left out of the video."
    )
