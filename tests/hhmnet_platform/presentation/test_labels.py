"""Names and notes that result tables share."""

import pytest

from hhmnet_platform.presentation.labels import (
    copies_note,
    counted,
    markdown,
    not_filmed_note,
    percent,
)


def test_nouns_are_in_the_plural_unless_there_is_one() -> None:
    assert (counted(1, "clip"), counted(2000, "clip")) == ("1 clip", "2,000 clips")


@pytest.mark.parametrize(
    ("copies", "note"),
    [
        (0, None),
        (1, "1 test clip is a copy of a training clip"),
        (2, "2 test clips are copies of training clips"),
    ],
)
def test_copies_are_counted(copies: int, note: str | None) -> None:
    assert copies_note(copies) == note


@pytest.mark.parametrize(
    ("clips", "note"),
    [
        (0, None),
        (1, "1 test clip without video is not counted"),
        (2, "2 test clips without video are not counted"),
    ],
)
def test_clips_without_video_are_counted(clips: int, note: str | None) -> None:
    assert not_filmed_note(clips) == note


@pytest.mark.parametrize(("share", "cell"), [(0.4567, "45.7%"), (1.0, "100.0%"), (None, "-")])
def test_shares_are_shown_in_per_cent(share: float | None, cell: str) -> None:
    assert percent(share) == cell


def test_names_are_no_markdown() -> None:
    assert markdown("a|b\n<b>[x](y)</b> `c` *d* nw_ucla-1") == (
        r"a\|b \<b\>\[x\](y)\</b\> \`c\` \*d\* nw_ucla-1"
    )
