"""Run every benchmark and write a markdown report, with the machine and the versions.

    python benchmarks/run_all.py [--out FILE] [--only NAME ...] [--threads N]

Without --out the report is printed. Each script runs with its defaults in its own process. If one
fails, the report shows its last line of output, and the exit code is 1.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from common import at_least_one, machine, run, store_or_synthetic

HERE = Path(__file__).resolve().parent
# Arguments of each script; {store} is a synthetic one of 180 clips.
SCRIPTS = {
    "train_step": ["--threads", "{threads}"],
    "input_pipeline": ["--threads", "{threads}"],
    "video_input": ["--threads", "{threads}"],
    "clip_memory": [],
    "prepare": [],
    "exported_model": [],
    "fusion_search": ["--random", "20000"],
    "phase1_layouts": ["--store", "{store}"],
    "ray_overhead": ["--store", "{store}"],
}


def section(name: str, arguments: list[str]) -> tuple[str, bool]:
    """Run a benchmark; return its section of the report, and whether it succeeded."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py"), *arguments], capture_output=True, text=True
    )
    minutes = (time.monotonic() - started) / 60
    print(f"{name}: {minutes:.1f} minutes", file=sys.stderr, flush=True)
    output = done.stdout.strip()
    if name == "phase1_layouts":  # its table is no markdown
        output = f"```\n{output}\n```"
    paragraphs = [f"## {name}.py", output, f"{minutes:.1f} minutes."]
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        paragraphs.append(f"**Failed with exit code {done.returncode}**: {last}")
    return "\n\n".join(paragraphs), done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="markdown file; default: stdout")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--threads", type=at_least_one, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.out and not options.out.parent.is_dir():
        parser.error(f"--out {options.out}: there is no folder {options.out.parent}")
    sections = ["# Benchmarks", "  \n".join(machine())]
    succeeded = True
    with store_or_synthetic("", clips_per_class=10) as store:
        for name in options.only:
            arguments = [
                argument.format(store=store, threads=options.threads) for argument in SCRIPTS[name]
            ]
            text, passed = section(name, arguments)
            sections.append(text)
            succeeded = succeeded and passed
    report = "\n\n".join(sections) + "\n"
    if options.out:
        options.out.write_text(report)
    else:
        print(report, end="")
    if not succeeded:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
