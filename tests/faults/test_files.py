"""File cases: the judgement of a reading, and real formats read from mutated files."""

from pathlib import Path

import pytest
from faults.cases import Log
from faults.examples import EXAMPLES
from faults.files import Valid, file_cases, judge_reading, run_file_cases
from faults.formats import FORMATS, Format
from faults.mutate import MUTATIONS
from faults.readers import Reading, fingerprint

from hhmnet_core.errors import InputError

VALID = Valid(frozenset({fingerprint("valid")}), "a note")


def judge(reading: Reading | Exception, checked: bool = True) -> str:
    def read() -> Reading:
        if isinstance(reading, Exception):
            raise reading
        return reading

    format = Format("json", "run", "a.json", lambda folder: Reading(""), checked)
    return judge_reading(read, format, Path("x/a.json"), VALID)[0]


def test_readings_are_judged() -> None:
    assert judge(Reading("valid", "a note")) == "equal"
    assert judge(Reading("valid", "a.json is damaged")) == "healed"
    assert judge(Reading("other", "left out: a.json")) == "reported"
    assert judge(Reading("other")) == "changed"
    assert judge(Reading("other"), checked=False) == "other"
    assert judge(InputError("a.json is damaged.")) == "refused"
    assert judge(InputError("It is damaged.")) == "unclear"
    # Messages are cut where they quote much.
    assert judge(InputError("a.json is damaged: " + "x" * 5000)) == "refused"
    with pytest.raises(KeyError):
        judge(KeyError("a"))


def test_every_format_has_an_example_and_mutations() -> None:
    assert {each.example for each in FORMATS.values()} == set(EXAMPLES)
    assert {each.kind for each in FORMATS.values()} <= MUTATIONS.keys() - {"any"}
    assert len(file_cases(full=True)) >= 2000


def test_damaged_results_are_refused_and_can_be_repeated(tmp_path: Path) -> None:
    cases = [
        case
        for case in file_cases(full=False)
        if case.format == "own json" and case.mutation in ("truncate", "empty", "directory")
    ]
    seen = []
    for number in range(2):
        log = Log(tmp_path / f"log{number}", "")
        run_file_cases(cases, 1, log, tmp_path / "work", 1, lambda: True)
        seen.append({name: each.outcome for name, each in log.outcomes.items()})
    assert seen[0] == seen[1] == {case.id: "refused" for case in cases}
