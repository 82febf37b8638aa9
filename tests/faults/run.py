"""Runs the fault cases: a sample within twenty minutes, or all of them in stretches.

python -m faults.run [--full] [--seed N] [--out FOLDER] [--only TEXT] [--list]
"""

import argparse
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from random import Random
from typing import Any

# Before the imports of the product: one thread for each process, and no servers from outside.
os.environ |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "RAY_USAGE_STATS_ENABLED": "0"}
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
for _name in ("HHMNET_NODES", "HHMNET_WORKSPACE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
    os.environ.pop(_name, None)

import script_server  # noqa: E402
from faults import cases, files, hosts, kills, options  # noqa: E402

ROOT = Path(__file__).parents[2]
# Minutes of a sample after which no further case of a section starts.
SECTIONS = {"file": 5.0, "option": 10.0, "kill": 16.0, "host": 19.0}
SLOTS = max(1, min(4, os.cpu_count() or 1))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases that the arguments name; return the exit code."""
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="Every case. Goes on where it stopped.")
    parser.add_argument("--seed", type=int, default=1, help="Seed of the mutations and moments.")
    out = Path("workspace/faults")
    parser.add_argument("--out", type=Path, default=out, help="Folder for log and failures.")
    parser.add_argument("--only", default="", help="Text in the ids of cases to repeat.")
    parser.add_argument("--list", action="store_true", help="Print the ids of the cases and exit.")
    given = parser.parse_args(argv)
    log = cases.Log(given.out.absolute(), f"{given.seed}/{version()}")
    chosen = choose(given.seed, given.full or bool(given.only), given.only, log.outcomes)
    if given.list:
        print("\n".join(case.id for section in chosen.values() for case in section))
        return 0
    began, work = time.monotonic(), log.folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    has_limit = not (given.full or given.only)

    def is_late(section: str) -> bool:
        return has_limit and time.monotonic() - began > 60 * SECTIONS[section]

    script_server.import_packages()
    run_all(chosen, given.seed, log, work, is_late)
    shutil.rmtree(work, ignore_errors=True)
    ids = {case.id for section in chosen.values() for case in section}
    return report(log, ids if given.only or has_limit else set(log.outcomes), len(ids))


def version() -> str:
    """Return a digest of the sources: outcomes of other sources do not count."""
    digest = hashlib.sha256()
    for folder in ("hhmnet_core", "platform", "experiments", "tests/faults"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def choose(seed: int, full: bool, only: str, done: Collection[str] = ()) -> dict[str, list[Any]]:
    """Return the cases to run, by section: of a whole run those that are not done yet."""
    each = None if only else options.WHOLE if full else options.SAMPLE
    sections: dict[str, list[Any]] = {
        "file": files.file_cases(full),
        "option": options.option_cases(seed, each),
        "kill": kills.kill_cases(seed, full),
        "host": hosts.host_cases(full),
    }
    for name, found in sections.items():
        if name in ("file", "option"):
            Random(seed).shuffle(found)  # where time ends, every format had its turn
        if only:
            sections[name] = [case for case in found if only in case.id]
        elif full:
            sections[name] = [case for case in found if case.id not in done]
    return sections


def run_all(
    chosen: dict[str, list[Any]],
    seed: int,
    log: cases.Log,
    work: Path,
    is_late: Callable[[str], bool],
) -> None:
    """Run the cases, section by section; a section that is late leaves the rest of its cases."""
    if chosen["file"]:
        files.run_file_cases(chosen["file"], seed, log, work, SLOTS, lambda: not is_late("file"))
    if chosen["option"]:
        options.run_option_cases(chosen["option"], log, work, SLOTS, lambda: not is_late("option"))
    if not (chosen["kill"] or chosen["host"]):
        return
    commands = kills.Kills(seed, log, work / "commands")
    try:
        for kill in chosen["kill"]:
            if not is_late("kill"):
                commands.run(kill)
                print(f"{kill.id}: {log.outcomes[kill.id].outcome}", flush=True)
        for host in chosen["host"]:
            if not is_late("host"):
                hosts.run_host_case(host, commands, seed, log)
                print(f"{host.id}: {log.outcomes[host.id].outcome}", flush=True)
    finally:
        commands.close()


def report(log: cases.Log, ids: set[str], wanted: int) -> int:
    """Print the failures and the table; return 1 where a case failed."""
    found = [outcome for name, outcome in sorted(log.outcomes.items()) if name in ids]
    failures = [each for each in found if each.failed]
    for each in failures:
        print(f"{each.id}: {each.outcome}: {each.detail}")
    print(cases.table(found))
    seen = sorted({each.outcome for each in found})
    meanings = cases.PASSES | cases.FAILURES
    print("\n".join(f"  {name:<10} {meanings[name]}" for name in seen))
    late = wanted - len(found)
    more = f", {late} not run for lack of time" if late > 0 else ""
    print(f"{len(found)} cases, {len(failures)} failures{more}; {log.folder}/failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
