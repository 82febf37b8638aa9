"""The CSV table that lists the clips of a user's own data set."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hhmnet_core.errors import InputError
from hhmnet_core.store.manifest import Protocol

REQUIRED = ("sample_id", "label", "subject", "skeleton")
OPTIONAL = ("camera", "setup", "split", "video")
SPLITS = ("train", "test")
_MAX_DIGITS = 18  # of a number that fits 64 bits


@dataclass(frozen=True)
class ClipRow:
    """A row of the table, apart from its sample id.

    Attributes:
        label: Index of the class.
        subject: The subject's number, or, if subjects have names, its rank among them from 1.
        camera: Number of the camera; 1 without the column.
        setup: Number of the set-up; with the column `split` 0 for train and 1 for test, else 0.
        skeleton: Path or URI of the skeleton file.
        video: Path or URI of the video; empty for none.
    """

    label: int
    subject: int
    camera: int
    setup: int
    skeleton: str
    video: str


@dataclass(frozen=True)
class ClipTable:
    """The clips of a table.

    Attributes:
        rows: Rows by sample id, sorted.
        class_names: Labels, in the order of their indices.
        has_video: True if the table has a column of videos.
        protocols: "given", from the column `split`; without it "cross-subject", which tests on
            every second of the sorted subjects.
        notes: Remarks for the user.
    """

    rows: dict[str, ClipRow]
    class_names: tuple[str, ...]
    has_video: bool
    protocols: dict[str, Protocol]
    notes: tuple[str, ...]


def parse_table(content: bytes, index: str, classes: Sequence[str] = ()) -> ClipTable:
    """Parse the CSV table of a data set.

    Args:
        content: The file.
        index: URI of the table, for messages.
        classes: Labels in order. Empty: those of the table, sorted, as numbers if all are.

    Raises:
        InputError: The content is not a CSV table, a column is missing or unknown, a row lacks a
            value, a label is not one of `classes`, or a sample_id occurs twice. The message names
            the line.
    """
    columns, lines = _parse_csv(content, index)
    class_names = tuple(classes) or _sorted({row["label"] for row in lines.values()})
    subject_of = _number_subjects({row["subject"] for row in lines.values()})
    rows: dict[str, ClipRow] = {}
    for line, row in lines.items():
        where = f"{index}, line {line}"
        if row["sample_id"] in rows:
            raise InputError(f"{where}: sample_id {row['sample_id']} occurs twice.")
        rows[row["sample_id"]] = _parse_row(row, where, class_names, subject_of)
    protocols, notes = _protocols("split" in columns, set(subject_of.values()), index)
    return ClipTable(dict(sorted(rows.items())), class_names, "video" in columns, protocols, notes)


def _parse_csv(content: bytes, index: str) -> tuple[list[str], dict[int, dict[str, str]]]:
    """Return the columns, and the rows' values by line number."""
    try:
        reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig")), strict=True)
        columns = [str(name).strip() for name in reader.fieldnames or ()]
        _check_columns(columns, index)
        reader.fieldnames = columns
        rows = {}
        for row in reader:
            line = reader.line_num
            rows[line] = _parse_values(row, columns, f"{index}, line {line}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{index} is not a CSV in UTF-8 ({error}).") from error
    if not rows:
        raise InputError(f"{index} has no rows: expected one for each clip.")
    return columns, rows


def _check_columns(columns: Sequence[str], index: str) -> None:
    expected = f"expected {_listed(REQUIRED)} and, where they apply, {_listed(OPTIONAL)}"
    if missing := [name for name in REQUIRED if name not in columns]:
        raise InputError(
            f"{index} has no column {_listed(missing)}: {expected}; it has "
            f"{_listed(columns) or 'none'}."
        )
    if unknown := [name for name in columns if name not in (*REQUIRED, *OPTIONAL)]:
        raise InputError(f"{index} has an unknown column {_listed(unknown)}: {expected}.")
    if {"setup", "split"} <= set(columns):
        raise InputError(f"{index} has both setup and split, which is stored as setup: drop one.")


def _parse_values(
    row: Mapping[str | None, str | None], columns: Sequence[str], where: str
) -> dict[str, str]:
    if None in row:
        raise InputError(f"{where}: more values than the {len(columns)} columns.")
    values = {name: (row[name] or "").strip() for name in columns}
    if missing := [name for name, value in values.items() if not value and name != "video"]:
        raise InputError(f"{where}: no {_listed(missing)}.")
    return values


def _parse_row(
    row: dict[str, str], where: str, class_names: Sequence[str], subject_of: dict[str, int]
) -> ClipRow:
    if row["label"] not in class_names:
        known = _listed(class_names[:10])
        raise InputError(f"{where}: unknown label {row['label']!r}; the classes are {known}.")
    numbers = {"camera": 1, "setup": 0}
    for name in numbers:
        if name in row and not _is_number(row[name]):
            raise InputError(
                f"{where}: {name} {row[name][:80]!r}, expected a whole number of at most "
                f"{_MAX_DIGITS} digits."
            )
        numbers[name] = int(row.get(name, numbers[name]))
    if "split" in row:
        if row["split"] not in SPLITS:
            raise InputError(f"{where}: split {row['split']!r}, expected train or test.")
        numbers["setup"] = SPLITS.index(row["split"])
    return ClipRow(
        label=class_names.index(row["label"]),
        subject=subject_of[row["subject"]],
        skeleton=row["skeleton"],
        video=row.get("video", ""),
        **numbers,
    )


def _protocols(
    has_split: bool, subject_numbers: set[int], index: str
) -> tuple[dict[str, Protocol], tuple[str, ...]]:
    """Return the data set's protocol, and a note if it is not the user's."""
    if has_split:
        return {"given": Protocol(train={"setup": [0]}, test={"setup": [1]})}, ()
    subjects = sorted(subject_numbers)
    train, test = subjects[::2], subjects[1::2]
    if not test:
        raise InputError(
            f"{index} has a single subject and no column split, so the test clips are unknown: add "
            "the column."
        )
    note = f"the table has no column split: subjects {_listed(test)} are the test subjects"
    return {"cross-subject": Protocol(train={"subject": train}, test={"subject": test})}, (note,)


def _number_subjects(subjects: set[str]) -> dict[str, int]:
    """Return each subject's number: its own if all are numbers, else its rank from 1."""
    ordered = _sorted(subjects)
    if all(map(_is_number, ordered)):
        return {subject: int(subject) for subject in ordered}
    return {subject: rank for rank, subject in enumerate(ordered, start=1)}


def _sorted(values: set[str]) -> tuple[str, ...]:
    """Sort as numbers if all values are, else as text."""
    numeric = all(map(_is_number, values))
    return tuple(sorted(values, key=lambda value: (int(value) if numeric else 0, value)))


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MAX_DIGITS


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
