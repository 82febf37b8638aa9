"""The CSV table that lists the clips of a user's own data set."""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hhmnet_core.checks.parsing import MAX_DIGITS, is_whole_number
from hhmnet_core.errors import InputError
from hhmnet_core.sources.numbered_classes import check_different
from hhmnet_core.store.manifest import Protocol

REQUIRED = ("sample_id", "label", "subject", "skeleton")
OPTIONAL = ("camera", "setup", "split", "video")
SPLITS = ("train", "test", "val")  # by the number that is stored as set-up
_DELIMITERS = (",", ";", "\t")  # Excel writes the second one in much of Europe
_INDEX_COLUMNS = {"", "Unnamed: 0"}  # as pandas writes them


@dataclass(frozen=True)
class ClipRow:
    """A row of the table, apart from its sample id.

    Attributes:
        label: Index of the class.
        subject: The subject's number, or, if subjects have names, its rank among them from 1; 0
            without the column.
        camera: Number of the camera; 1 without the column.
        setup: Number of the set-up; with the column `split` 0 for train, 1 for test and 2 for val,
            else 0.
        skeleton: Path or URI of the skeleton file; empty in a table of videos.
        video: Path or URI of the video; empty for none.
        split: Name of the split; empty without the column.
    """

    label: int
    subject: int
    camera: int
    setup: int
    skeleton: str
    video: str
    split: str = ""


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
        subject_names: Names of the subjects by number. Empty without the column.
    """

    rows: dict[str, ClipRow]
    class_names: tuple[str, ...]
    has_video: bool
    protocols: dict[str, Protocol]
    notes: tuple[str, ...]
    subject_names: dict[int, str]


def parse_table(
    content: bytes,
    index: str,
    classes: Sequence[str] = (),
    required: Sequence[str] = REQUIRED,
    optional: Sequence[str] = OPTIONAL,
) -> ClipTable:
    """Parse the CSV table of a data set.

    Args:
        content: The file.
        index: URI of the table, for messages.
        classes: Labels in order. Empty: those of the table, sorted, as numbers if all are.
        required: Columns that the table must have; `subject` may be absent beside `split`.
        optional: Columns that it may have.

    Raises:
        InputError: The content is not a CSV table, a column is missing, unknown or given twice, a
            row lacks a value, a label is not one of `classes`, there are fewer than two classes, or
            a sample_id occurs twice. The message names the line.
    """
    columns, lines, notes = _parse_csv(content, index, required, optional)
    labels = {row["label"] for row in lines.values()}
    if not classes:
        _check_spellings(labels, "labels", index)
    class_names = tuple(classes) or _sorted(labels)
    subject_of = {"": 0}
    if "subject" in columns:
        subject_of = _number_subjects({row["subject"] for row in lines.values()}, index)
    rows: dict[str, ClipRow] = {}
    for line, row in lines.items():
        where = f"{index}, line {line}"
        if row["sample_id"] in rows:
            raise InputError(f"{where}: sample_id {row['sample_id']} occurs twice.")
        rows[row["sample_id"]] = _parse_row(row, where, class_names, subject_of)
    _check_classes(class_names, {row.label for row in rows.values()}, index)
    names = {number: name for name, number in subject_of.items() if name}
    if "split" in columns:
        protocols = {"given": _given_protocol({row.split for row in rows.values()}, index)}
    else:
        protocols, note = _cross_subject(names, index)
        notes.append(note)
    ordered = dict(sorted(rows.items()))
    return ClipTable(ordered, class_names, "video" in columns, protocols, tuple(notes), names)


def _parse_csv(
    content: bytes, index: str, required: Sequence[str], optional: Sequence[str]
) -> tuple[list[str], dict[int, dict[str, str]], list[str]]:
    """Return the columns, the rows' values by line number, and remarks."""
    rows, notes, blank = {}, list[str](), 0
    try:
        text = content.decode("utf-8-sig")
        head = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=head.count)
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
        columns = [str(name).strip() for name in reader.fieldnames or ()]
        read = [name for name in columns if name not in _INDEX_COLUMNS]
        if read and len(read) < len(columns):
            notes.append("the column without a name is not read")
        _check_columns(read, index, required, optional)
        reader.fieldnames = columns
        for row in reader:
            if not any(value.strip() for value in row.values() if isinstance(value, str)):
                blank += 1
                continue
            line = reader.line_num
            rows[line] = _parse_values(row, read, f"{index}, line {line}", optional)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{index} is not a CSV in UTF-8 ({error}): save the table as CSV UTF-8."
        ) from error
    if not rows:
        raise InputError(f"{index} has no rows: expected one for each clip.")
    if blank:
        notes.append(f"{blank} rows without any value are not read")
    return read, rows, notes


def _check_columns(
    columns: Sequence[str], index: str, required: Sequence[str], optional: Sequence[str]
) -> None:
    expected = f"expected {_listed(required)} and, where they apply, {_listed(optional)}"
    if twice := [name for name, count in Counter(columns).items() if count > 1]:
        raise InputError(f"{index} has the column {twice[0]} twice: remove one of them.")
    needed = [name for name in required if name != "subject" or "split" not in columns]
    if missing := [name for name in needed if name not in columns]:
        raise InputError(
            f"{index} has no column {_listed(missing)}: {expected}; it has "
            f"{_listed(columns) or 'none'}."
        )
    if unknown := [name for name in columns if name not in (*required, *optional)]:
        raise InputError(f"{index} has an unknown column {_listed(unknown)}: {expected}.")
    if {"setup", "split"} <= set(columns):
        raise InputError(f"{index} has both setup and split, which is stored as setup: drop one.")


def _parse_values(
    row: Mapping[str | None, str | None],
    columns: Sequence[str],
    where: str,
    optional: Sequence[str],
) -> dict[str, str]:
    if None in row:
        raise InputError(f"{where}: more values than the {len(columns)} columns.")
    values = {name: _value(row, name) for name in columns}
    may_be_empty = {"video"} & set(optional)
    if missing := [
        name for name, value in values.items() if not value and name not in may_be_empty
    ]:
        raise InputError(f"{where}: no {_listed(missing)}.")
    return values


def _value(row: Mapping[str | None, str | None], name: str) -> str:
    return (row[name] or "").strip()


def _check_classes(class_names: Sequence[str], used: set[int], index: str) -> None:
    check_different(class_names)
    if len(used) < 2:
        raise InputError(
            f"{index}: all clips have the label {class_names[min(used)]!r}, expected two classes "
            "or more."
        )


def _parse_row(
    row: dict[str, str], where: str, class_names: Sequence[str], subject_of: dict[str, int]
) -> ClipRow:
    if row["label"] not in class_names:
        known = _listed(class_names[:10])
        raise InputError(f"{where}: unknown label {row['label']!r}; the classes are {known}.")
    numbers = {"camera": 1, "setup": 0}
    for name in numbers:
        if name in row and not is_whole_number(row[name]):
            raise InputError(
                f"{where}: {name} {row[name][:80]!r}, expected a whole number of at most "
                f"{MAX_DIGITS} digits."
            )
        numbers[name] = int(row.get(name, numbers[name]))
    if "split" in row:
        if row["split"] not in SPLITS:
            raise InputError(f"{where}: split {row['split']!r}, expected train, val or test.")
        numbers["setup"] = SPLITS.index(row["split"])
    return ClipRow(
        label=class_names.index(row["label"]),
        subject=subject_of[row.get("subject", "")],
        skeleton=row.get("skeleton", ""),
        video=row.get("video", ""),
        split=row.get("split", ""),
        **numbers,
    )


def _given_protocol(splits: set[str], index: str) -> Protocol:
    for split in ("train", "test"):
        if split not in splits:
            raise InputError(f"{index} has no clip whose split is {split}: mark some.")
    train, test, val = ([number] for number in range(len(SPLITS)))
    if "val" not in splits:
        return Protocol(train={"setup": train}, test={"setup": test})
    return Protocol(train={"setup": [*train, *val]}, test={"setup": test}, val={"setup": val})


def _cross_subject(names: Mapping[int, str], index: str) -> tuple[dict[str, Protocol], str]:
    """Return the protocol that tests on every second subject, and a note that names them."""
    subjects = sorted(names)
    train, test = subjects[::2], subjects[1::2]
    if not test:
        raise InputError(
            f"{index} has a single subject and no column split, so the test clips are unknown: add "
            "the column."
        )
    listed = _listed([names[subject] for subject in test])
    note = f"the table has no column split: subjects {listed} are the test subjects"
    return {"cross-subject": Protocol(train={"subject": train}, test={"subject": test})}, note


def _number_subjects(subjects: set[str], index: str) -> dict[str, int]:
    """Return each subject's number: its own if all are numbers, else its rank from 1."""
    ordered = _sorted_naturally(subjects)
    if not all(map(is_whole_number, ordered)):
        _check_spellings(subjects, "subjects", index)
        return {subject: rank for rank, subject in enumerate(ordered, start=1)}
    numbers = {subject: int(subject) for subject in ordered}
    if len(set(numbers.values())) < len(numbers):
        count = Counter(numbers.values())
        alike = [subject for subject, number in numbers.items() if count[number] > 1]
        raise InputError(
            f"{index} has the subjects {alike[0]} and {alike[1]}, which are one number: write each "
            "subject in one way."
        )
    return numbers


def _check_spellings(values: set[str], kind: str, index: str) -> None:
    """Raise InputError where two values are one in two spellings: Wave and wave, P1 and p01."""
    first: dict[str, str] = {}
    for value in sorted(values):
        folded = re.sub(r"[\s_-]+", " ", value.casefold()).strip()
        plain = re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"^(\d+)\.0+$", r"\1", folded))
        other = first.setdefault(plain, value)
        if other != value:
            raise InputError(
                f"{index} has the {kind} {other!r} and {value!r}, which differ in case, blanks or "
                "zeros only: write each in one way"
                + (", or give --classes." if kind == "labels" else ".")
            )


def _sorted(values: set[str]) -> tuple[str, ...]:
    """Sort as numbers if all values are, else as text."""
    numeric = all(map(is_whole_number, values))
    return tuple(sorted(values, key=lambda value: (int(value) if numeric else 0, value)))


def _sorted_naturally(values: set[str]) -> list[str]:
    """Sort by the numbers in the values, so s2 before s10."""

    def key(value: str) -> tuple[list[tuple[bool, int, str]], str]:
        parts = re.findall(r"\d{1,18}|\D+", value)
        return [
            (not is_whole_number(x), int(x) if is_whole_number(x) else 0, x) for x in parts
        ], value

    return sorted(values, key=key)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
