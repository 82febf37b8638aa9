"""Runs every benchmark and writes one markdown report of them, with the machine and the versions.

    python benchmarks/run_all.py [--out FILE] [--only NAME ...] [--threads N]

Without --out the report goes to stdout. Each script runs with its defaults, in a process of its
own; one that fails is noted in the report with its last line, and the exit code is then 1.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from common import at_least_one, machine, run, store_or_synthetic

HERE = Path(__file__).resolve().parent
# Arguments beside those that the user gives; {store} is a synthetic one of 180 clips.
SCRIPTS = {
    "train_step": ["--threads", "{threads}"],
    "input_pipeline": ["--threads", "{threads}"],
    "clip_memory": [],
    "prepare": [],
    "fusion_search": ["--random", "20000"],
    "phase1_layouts": ["--store", "{store}"],
    "ray_overhead": ["--store", "{store}"],
}


def section(name: str, arguments: list[str]) -> tuple[str, bool]:
    """A benchmark's part of the report, and whether it ended well."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), *arguments], capture_output=True, text=True
    )
    minutes = (time.monotonic() - started) / 60
    print(f"{name}: {minutes:.1f} minutes", file=sys.stderr, flush=True)
    said = done.stdout.strip()
    if name == "phase1_layouts":  # its columns are set by hand
        said = f"```\n{said}\n```"
    parts = [f"## {name}.py", said, f"{minutes:.1f} minutes."]
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        parts.append(f"**Failed with exit code {done.returncode}**: {last}")
    return "\n\n".join(parts), done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="markdown file; default: stdout")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--threads", type=at_least_one, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.out and not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: there is no folder {options.out.parent}")
    parts = ["# Benchmarks", "  \n".join(machine())]
    well = True
    with store_or_synthetic("", clips_per_class=10) as store:
        for name in options.only:
            given = [part.format(store=store, threads=options.threads) for part in SCRIPTS[name]]
            part, ended_well = section(name, given)
            parts.append(part)
            well = well and ended_well
    report = "\n\n".join(parts) + "\n"
    if options.out:
        options.out.write_text(report)
    else:
        print(report, end="")
    if not well:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
