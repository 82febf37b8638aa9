"""What preparing NTU RGB+D costs: the parser, two cores against one, memory.

    python benchmarks/prepare.py [--clips 2048] [--rounds 5]

The files are made up: 40 to 150 frames, every third of two bodies, as the sensor's software writes
them. parse: CPU seconds beside two plain parsers on the same files, in turns; "a line in Python"
is the shortest that reads every number with float(), "NumPy a line" makes an array of each line's
first three and of its colour pixels, as the field's scripts do. scale: the whole preparation by
one and by two processes, in turns, without Ray's start. memory: the peak of one process for so
many clips, and for four times as many.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from common import at_least_one, machine, peak_resident_mib, run, spread, table

from hhmnet_core.data.writing import About, Plan, make_part
from hhmnet_core.files import folder
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources import ntu
from hhmnet_core.sources._skeleton_file import parse_skeleton

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from ntu_files import File, Track, read_plainly, standing

KINDS = 30
PART_CLIPS = 256


def texts() -> list[str]:
    """Different recordings' files."""
    random = np.random.default_rng(0)
    files = []
    for number, frames in enumerate(random.integers(40, 150, KINDS)):
        tracks = [Track(0, standing(random, frames))]
        if number % 3 == 0:
            tracks.append(Track(5, standing(random, frames - 5, 0.8), 1))
        files.append(File(int(frames), tracks).text())
    return files


def write_files(place: Path, clips: int) -> None:
    written = texts()
    ids = sorted(ntu.edition(60).recorded - ntu.edition(60).missing)
    for number, sample_id in enumerate(ids[:: max(1, len(ids) // clips)][:clips]):
        (place / f"{sample_id}.skeleton").write_text(written[number % KINDS])


def read_by_numpy(text: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """An array of each joint's line, as the field's scripts read."""
    lines = iter(text.split("\n"))
    bodies = []
    for _ in range(int(next(lines))):
        for _ in range(int(next(lines))):
            next(lines)
            number = int(next(lines))
            joints = np.zeros((number, 3), dtype=np.float32)
            pixels = np.zeros((number, 2), dtype=np.float32)
            for joint in range(number):
                fields = next(lines).strip().split()
                joints[joint] = np.array(fields[:3], dtype=np.float32)
                pixels[joint] = np.array(fields[5:7], dtype=np.float32)
            bodies.append((joints, pixels))
    return bodies


def cpu_seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measure_parse(options: argparse.Namespace) -> None:
    written = texts()
    contents = [text.encode() for text in written]
    readers: dict[str, Callable[[], object]] = {
        "this parser": lambda: [parse_skeleton(content, "file") for content in contents],
        "a line in Python": lambda: [read_plainly(text) for text in written],
        "NumPy a line": lambda: [read_by_numpy(text) for text in written],
    }
    for read in readers.values():
        read()  # the first time pays for what is done once
    seconds: dict[str, list[float]] = {reader: [] for reader in readers}
    for _ in range(options.rounds):
        for reader, read in readers.items():
            seconds[reader].append(cpu_seconds(read))
    rows = []
    for reader, taken in seconds.items():
        ratios = [one / ours for one, ours in zip(taken, seconds["this parser"], strict=True)]
        milliseconds = 1000 * statistics.median(taken) / KINDS
        rows.append([reader, f"{milliseconds:.2f}", spread(ratios, 1)])
    print("### Parsing\n\n" + table(["", "CPU ms a file", "this one is x times"], rows))


def make_parts(source: str, store: str, first: int, step: int) -> None:
    """Every step-th part of a store, as Ray tasks make them."""
    import pyarrow

    pyarrow.set_cpu_count(1)
    recordings = ntu.Recordings(source, 60)
    facts = recordings.edition
    about = About(facts.dataset, get_layout(ntu.LAYOUT), facts.class_names, facts.protocols, {})
    plan = Plan(about, tuple(recordings.names), PART_CLIPS)
    for number in range(first, plan.num_parts, step):
        make_part(folder(store), plan, recordings, number, "fail")


def whole_seconds(source: str, processes: int) -> float:
    """Clock seconds of making all parts by so many processes, that are up already."""
    with tempfile.TemporaryDirectory() as store, get_context("spawn").Pool(processes) as pool:
        pool.map(time.sleep, [0.1] * processes, chunksize=1)
        began = time.perf_counter()
        shares = [(source, store, p, processes) for p in range(processes)]
        pool.starmap(make_parts, shares, chunksize=1)
        return time.perf_counter() - began


def measure_scale(source: str, options: argparse.Namespace) -> None:
    ratios, rows = [], []
    for number in range(options.rounds):
        one, two = (whole_seconds(source, processes) for processes in (1, 2))
        ratios.append(one / two)
        rows.append([f"round {number + 1}", f"{options.clips / one:.0f}",
                     f"{options.clips / two:.0f}", f"{one / two:.2f}"])  # fmt: skip
    rows.append(["median (range)", "", "", spread(ratios)])
    print("\n### Whole preparation\n")
    print(table(["clips/s", "one process", "two", "two is x times"], rows))


def peak_mib(source: str) -> float:
    said = subprocess.run(
        [sys.executable, __file__, "--only", source], check=True, capture_output=True, text=True
    )
    return float(json.loads(said.stdout.splitlines()[-1]))


def measure_memory(options: argparse.Namespace) -> None:
    rows = []
    for clips in (options.clips, 4 * options.clips):
        with tempfile.TemporaryDirectory() as source:
            write_files(Path(source), clips)
            rows.append([f"{clips:,} clips", f"{peak_mib(source):.0f}"])
    print("\n### Memory\n\n" + table(["one process", "peak MiB over its start"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=at_least_one, default=2048)
    parser.add_argument("--rounds", type=at_least_one, default=5)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        before = peak_resident_mib()
        with tempfile.TemporaryDirectory() as store:
            make_parts(options.only, store, 0, 1)
        print(peak_resident_mib() - before)
        return
    print("\n".join(machine()) + "\n")
    measure_parse(options)
    with tempfile.TemporaryDirectory() as source:
        write_files(Path(source), options.clips)
        measure_scale(source, options)
    measure_memory(options)


if __name__ == "__main__":
    run(main)
