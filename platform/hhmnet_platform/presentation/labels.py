"""Names and notes that result tables share: accuracy without copies, clips that are not counted."""

import re

WITHOUT_COPIES_HEADING = "test without copies"  # in tables
WITHOUT_COPIES_METRIC = "test/top1_without_copies"  # in MLflow


def counted(number: int, noun: str) -> str:
    """Return a number with a noun, in the plural unless it is 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def copies_note(copies: int) -> str | None:
    """Return a note on the number of test clips that are copies, or None without copies."""
    if copies == 1:
        return "1 test clip is a copy of a training clip"
    return f"{copies} test clips are copies of training clips" if copies else None


def not_filmed_note(clips: int) -> str | None:
    """Return a note on the number of test clips without video, or None if all have one."""
    if clips == 1:
        return "1 test clip without video is not counted"
    return f"{clips} test clips without video are not counted" if clips else None


def markdown(text: str) -> str:
    """Return a text from a user for use in Markdown: one line, without formatting or HTML."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(text.split()))


def printable(text: str) -> str:
    """Return a text from a file for the terminal: one line, without control characters."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def percent(share: float | None) -> str:
    """Return a share of 1 as per cent with one decimal, or a dash for None."""
    return "-" if share is None else f"{share:.1%}"
