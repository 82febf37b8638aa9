"""Cases and their outcomes: what passes, what fails, and the log by which a run goes on."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from faults.isolated import Ended

PASSES = {
    "equal": "the result of the valid file, or of an undisturbed run",
    "healed": "the same, and a notice that names what was wrong",
    "reported": "another result, and a notice of what was left out",
    "other": "another valid file, in a format that no checksum covers",
    "refused": "one line that names the file or the option",
    "accepted": "a command line that is carried out, up to where Ray would start",
    "kept out": "a second user who got nowhere",
    "skipped": "needs root on Linux",
}
FAILURES = {
    "traceback": "an exception that is no InputError, or a traceback in the output",
    "crash": "the process was ended by a signal of its own",
    "hang": "no end within the time limit",
    "memory": "more memory than the limit",
    "changed": "another result than that of the valid file, without a word",
    "unclear": "a refusal of several lines, or one that does not name what was refused",
    "left": "processes of a killed run that still live after ten seconds",
    "stuck": "the same command, given again, does not end with code 0",
    "lost": "a file taken for damaged, left out, changed or deleted, because it could not be read",
    "entered": "a second user who got in",
    "broken": "the harness itself",
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case.

    Attributes:
        id: Name of the case, by which it can be repeated: SECTION/GROUP/NUMBER-WHAT.
        outcome: A key of PASSES or FAILURES.
        detail: Evidence, such as the message.
        seconds: Time that the case took.
        output: Output of the case. "" unless it failed.
    """

    id: str
    outcome: str
    detail: str = ""
    seconds: float = 0.0
    output: str = field(default="", repr=False)

    @property
    def failed(self) -> bool:
        return self.outcome in FAILURES

    @property
    def group(self) -> str:
        """What the table counts by: section and group."""
        return "/".join(self.id.split("/")[:2])


def judge_end(ended: Ended, case: str) -> Outcome:
    """Return the outcome of a case from the end of its process."""
    if ended.status == "returned":
        outcome, detail = ended.value
        output = ended.output if outcome in FAILURES else ""
        return Outcome(case, outcome, detail, ended.seconds, output)
    kind = ended.status
    if kind == "crash":
        lines = [line for line in ended.output.splitlines() if line.strip()]
        kind = "crash" if lines and lines[-1].startswith("ended by signal") else "traceback"
        return Outcome(case, kind, lines[-1][:300] if lines else "", ended.seconds, ended.output)
    return Outcome(case, kind, "", ended.seconds, ended.output)


class Log:
    """Outcomes of finished cases, one JSON line each; a later run goes on where it stopped.

    Args:
        folder: Folder of the log and of the failing cases.
        key: Seed and version of the cases. Outcomes of another key do not count.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key
        self.file = folder / "outcomes.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        self.outcomes: dict[str, Outcome] = {}
        if self.file.exists():
            for line in self.file.read_text().splitlines():
                values = json.loads(line)
                if values.pop("key") == key:
                    self.outcomes[values["id"]] = Outcome(**values)

    def add(self, outcome: Outcome, files: Iterable[Path] = ()) -> None:
        """Record an outcome; of a failure, and of no other case, keep the files and the output."""
        self.outcomes[outcome.id] = outcome
        with self.file.open("a") as lines:
            lines.write(json.dumps(asdict(outcome) | {"output": "", "key": self.key}) + "\n")
        kept = self.folder / "failures" / outcome.id.replace("/", "__").replace(" ", "-")
        shutil.rmtree(kept, ignore_errors=True)  # of an earlier run of the case
        if outcome.failed:
            kept.mkdir(parents=True)
            (kept / "case.json").write_text(json.dumps(asdict(outcome), indent=2) + "\n")
            (kept / "output.txt").write_text(outcome.output)
            for file in files:
                if file.is_file():
                    shutil.copy(file, kept / file.name)


def table(outcomes: Iterable[Outcome]) -> str:
    """Return the counts of outcomes by group, as text."""
    by_group: dict[str, Counter[str]] = {}
    for each in outcomes:
        by_group.setdefault(each.group, Counter())[each.outcome] += 1
    seen = {outcome for counts in by_group.values() for outcome in counts}
    columns = [name for name in (*PASSES, *FAILURES) if name in seen]
    width = max(map(len, by_group), default=0)
    lines = [" ".join(["".ljust(width), *columns])]
    for group, counts in sorted(by_group.items()):
        cells = [str(counts[name] or ".").rjust(len(name)) for name in columns]
        lines.append(" ".join([group.ljust(width), *cells]))
    return "\n".join(lines)
