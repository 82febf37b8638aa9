"""Mutated files of every format, read as a command reads them."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from random import Random

from failing_files import fail_reads_from_now_on
from faults.cases import Log, judge_end
from faults.examples import EXAMPLES
from faults.formats import FORMATS, Format
from faults.isolated import run_cases
from faults.mutate import Content, mutate, mutation_names, replace_file
from faults.readers import Reading, fingerprint

from hhmnet_core.errors import AccessError, InputError

SAMPLE = 1  # case of each format and mutation in a sample
WHOLE = 5  # in a whole run
UNREADABLE = "unreadable"  # a file whose reading fails with EIO


@dataclass(frozen=True)
class FileCase:
    """A case: a format, a mutation and a number, which seeds the mutation."""

    format: str
    mutation: str
    number: int

    @property
    def id(self) -> str:
        return f"file/{self.format}/{self.mutation}-{self.number}"

    def random(self, seed: int) -> Random:
        return Random(f"{seed}/{self.id}")


@dataclass(frozen=True)
class Valid:
    """The reading of a valid file: digests of the values that are as good, and the notice."""

    values: frozenset[str]
    notice: str


def file_cases(full: bool) -> list[FileCase]:
    """Return all cases of a run."""
    times = WHOLE if full else SAMPLE
    return [
        FileCase(name, mutation, number)
        for number in range(times)
        for name, format in FORMATS.items()
        for mutation in (*mutation_names(format.kind), *([UNREADABLE] * format.is_opened))
        if mutation not in ("empty", "directory", "bomb", UNREADABLE) or not number
    ]


def run_file_cases(
    cases: list[FileCase], seed: int, log: Log, work: Path, slots: int, goes_on: Callable[[], bool]
) -> None:
    """Run cases, each on a copy of its example, as long as `goes_on`; record the outcomes."""
    examples = _make_examples({FORMATS[case.format].example for case in cases}, work)
    valid = {name: _read_valid(FORMATS[name], examples, work) for name in {c.format for c in cases}}

    functions = (
        (case.id, partial(_run, case, examples[FORMATS[case.format].example], valid, seed, work))
        for case in takewhile(lambda _: goes_on(), cases)
    )
    by_id = {case.id: case for case in cases}
    for name, ended in run_cases(functions, work / "forks", slots):
        case, outcome = by_id[name], judge_end(ended, name)
        format = FORMATS[case.format]
        spoilt = work / "spoilt"
        if outcome.failed and case.mutation != UNREADABLE:
            content, file = spoil(case, format, examples[format.example], seed)
            spoilt = work / file.name
            if content is not None:
                spoilt.write_bytes(content)
        log.add(outcome, [spoilt])
        shutil.rmtree(work / _folder_of(case), ignore_errors=True)


def spoil(case: FileCase, format: Format, example: Path, seed: int) -> tuple[Content, Path]:
    """Return the mutated content of a case, and the path of its file within the example."""
    random = case.random(seed)
    files = sorted(example.glob(format.file))
    path = random.choice(files)
    others = [each for each in files if each != path] or [
        each for each in sorted(example.rglob("*")) if each.is_file() and each != path
    ]
    other = random.choice(others).read_bytes()
    content = mutate(path.read_bytes(), format.kind, case.mutation, random, other)
    return content, path.relative_to(example)


def _make_examples(names: set[str], work: Path) -> dict[str, Path]:
    folders = {}
    for name in sorted(names):
        folder = work / "examples" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        EXAMPLES[name](folder)
        folders[name] = folder
    return folders


def _read_valid(format: Format, examples: dict[str, Path], work: Path) -> Valid:
    """Return what the reader makes of the valid file.

    It is read in this process: what is compiled and imported for it is there in every fork.
    """
    copy = work / "valid"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(examples[format.example], copy)
    equals = format.equals(copy)
    reading = format.read(copy)
    values = frozenset(map(fingerprint, (reading.value, *equals)))
    return Valid(values, reading.notice)


def _folder_of(case: FileCase) -> str:
    return "case-" + hashlib.sha256(case.id.encode()).hexdigest()[:12]


def _run(
    case: FileCase, example: Path, all_valid: dict[str, Valid], seed: int, work: Path
) -> tuple[str, str]:
    """Run a case in this process, and return its outcome and detail."""
    format, valid = FORMATS[case.format], all_valid[case.format]
    folder = work / _folder_of(case)
    shutil.copytree(example, folder)
    os.environ["HHMNET_CACHE"] = str(folder / "own cache")
    os.chdir(folder)
    if case.mutation == UNREADABLE:
        path = case.random(seed).choice(sorted(folder.glob(format.file)))
        return _judge_unreadable(format, folder, path, valid)
    content, file = spoil(case, format, example, seed)
    replace_file(folder / file, content)
    return judge_reading(lambda: format.read(folder), format, file, valid)


def judge_reading(
    read: Callable[[], Reading], format: Format, file: Path, valid: Valid
) -> tuple[str, str]:
    """Read a mutated file and return the outcome and its detail.

    Args:
        read: Reads it.
        format: Its format.
        file: Its path.
        valid: Reading of the valid file.
    """
    try:
        reading = read()
    except InputError as error:
        return _judge_refusal(str(error), format, file)
    notice = reading.notice if reading.notice != valid.notice else ""
    value = fingerprint(reading.value)
    if reading.value is None:
        return "equal", "made anew"
    if value in valid.values:
        return ("healed", notice[:300]) if notice else ("equal", "")
    if notice:
        return "reported", notice[:300]
    return ("changed", "another value than the valid file's") if format.checked else ("other", "")


def _judge_refusal(message: str, format: Format, file: Path) -> tuple[str, str]:
    message = " ".join(message.split())  # as scripts print it
    if not any(name in message for name in (file.name, *format.names)):
        return "unclear", f"{file.name} is not named: {message[:300]}"
    return "refused", message[:300]


def _judge_unreadable(format: Format, folder: Path, path: Path, valid: Valid) -> tuple[str, str]:
    """Read a file on which the disk fails: AccessError, and nothing is changed by it."""
    before = _content_of(folder)
    fail_reads_from_now_on(path.name)
    try:
        reading = format.read(folder)
    except AccessError as error:
        outcome = _judge_refusal(str(error), format, path)
    except InputError as error:
        outcome = ("lost", f"taken for damaged: {error}"[:300])
    else:
        if fingerprint(reading.value) in valid.values and not reading.notice:
            outcome = ("equal", "not read, or through no Python file")
        else:
            outcome = ("lost", f"left out: {reading.notice}"[:300])
    if format.is_copy:
        return outcome
    after = _content_of(folder)
    gone = sorted(name for name, digest in before.items() if after.get(name) != digest)
    return ("lost", f"deleted or changed: {', '.join(gone)}"[:300]) if gone else outcome


def _content_of(folder: Path) -> dict[str, str]:
    """Return what changes when a file is written anew, by path; reading may fail here."""
    return {
        str(path.relative_to(folder)): f"{path.stat().st_ino}, {path.stat().st_mtime_ns}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }
