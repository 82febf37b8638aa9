"""Measure the preparation of NTU RGB+D: the parser, two processes against one, memory.

    python benchmarks/prepare.py [--clips 2048] [--rounds 6] [--parts parse scale memory]

The files are random, in the format of the sensor's software: 40 to 150 frames, two bodies in every
third.

parse: CPU seconds per file, in turns with plain parsers of the same files. "a line in Python" reads
every number with float(). "NumPy a line" makes arrays of each line's first three numbers and of its
colour pixels, as published scripts do.

scale: the whole preparation with one and with two processes, in turns, without the start of Ray.
Measured by the clock, which needs a quiet machine, and by the CPU time of the slowest process,
which other work disturbs less.

memory: the peak of one process for the number of clips and for four times as many.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
from common import at_least_one, machine, peak_resident_mib, run, spread, table

from hhmnet_core.files import folder
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.sources.ntu import recordings as ntu
from hhmnet_core.sources.ntu.editions import get_edition
from hhmnet_core.sources.ntu.skeleton_file import parse_skeleton
from hhmnet_core.store.building import StorePlan, build_shard
from hhmnet_core.store.writing import StoreDescription

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from ntu_files import SkeletonFile, Track, parse_plainly, standing_body

KINDS = 30
SHARD_CLIPS = 256
PARTS = ("parse", "scale", "memory")


def texts() -> list[str]:
    """Return the contents of different .skeleton files."""
    random = np.random.default_rng(0)
    files = []
    for number, frames in enumerate(random.integers(40, 150, KINDS)):
        tracks = [Track(0, standing_body(random, frames))]
        if number % 3 == 0:
            tracks.append(Track(5, standing_body(random, frames - 5, 0.8), 1))
        files.append(SkeletonFile(int(frames), tracks).text())
    return files


def write_files(folder_: Path, clips: int) -> None:
    written = texts()
    ids = sorted(get_edition(60).recorded - get_edition(60).missing)
    for number, sample_id in enumerate(ids[:: max(1, len(ids) // clips)][:clips]):
        (folder_ / f"{sample_id}.skeleton").write_text(written[number % KINDS])


def read_by_numpy(text: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Parse a file into an array per joint, as published scripts do."""
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


def arrays_of(text: str) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Parse a file into frames, joints and pixels of each body, as `parse_skeleton` does."""
    bodies = []
    for rows in parse_plainly(text).values():
        values = np.array([numbers for _, numbers in rows], dtype=np.float32)
        bodies.append((np.array([frame for frame, _ in rows]), values[..., :3], values[..., 3:]))
    return bodies


def cpu_seconds(read: Callable[[bytes], object], contents: list[bytes], keep: bool) -> float:
    began = time.process_time()
    kept = []
    for content in contents:
        parsed = read(content)
        if keep:
            kept.append(parsed)
    return time.process_time() - began


def measure_parse(options: argparse.Namespace) -> None:
    contents = [text.encode() for text in texts()]
    ours = "this parser"
    readers: dict[str, tuple[Callable[[bytes], object], bool]] = {
        ours: (lambda content: parse_skeleton(content, "file"), False),
        "a line in Python": (lambda content: parse_plainly(content.decode()), False),
        "the same, into arrays": (lambda content: arrays_of(content.decode()), False),
        "the same lists, of all files kept": (
            lambda content: parse_plainly(content.decode()),
            True,
        ),
        "NumPy a line": (lambda content: read_by_numpy(content.decode()), False),
    }
    seconds: dict[str, list[float]] = {reader: [] for reader in readers}
    for number in range(options.rounds + 1):
        for reader, (read, keep) in readers.items():
            taken = cpu_seconds(read, contents, keep)
            if number:  # the first round is a warm-up
                seconds[reader].append(taken)
    rows = []
    for reader, taken in seconds.items():
        ratios = [theirs / mine for theirs, mine in zip(taken, seconds[ours], strict=True)]
        milliseconds = 1000 * statistics.median(taken) / KINDS
        rows.append([reader, f"{milliseconds:.2f}", spread(ratios, 1)])
    print("\n### Parsing\n\n" + table(["", "CPU ms a file", "this one is x times"], rows))


def build_shards(source: str, store: str, first: int, step: int) -> float:
    """Build every step-th shard of a store as Ray tasks do; return the CPU seconds."""
    import pyarrow

    pyarrow.set_cpu_count(1)
    began = time.process_time()
    recordings = ntu.Recordings(source, 60)
    facts = recordings.edition
    about = StoreDescription(
        facts.dataset, get_layout(ntu.LAYOUT), facts.class_names, facts.protocols, {}
    )
    plan = StorePlan(about, tuple(recordings.names), SHARD_CLIPS)
    for number in range(first, plan.num_shards, step):
        build_shard(folder(store), plan, recordings, number, "fail")
    return time.process_time() - began


def warm_up(source: str, begin: Barrier) -> None:
    """Build one shard, then wait until all processes have done so."""
    with tempfile.TemporaryDirectory() as store:
        build_shards(source, store, 0, sys.maxsize)
    begin.wait()


def whole_seconds(source: str, processes: int) -> tuple[float, float]:
    """Return the seconds to build all shards: by the clock, and CPU of the slowest process."""
    context = get_context("spawn")
    begin = context.Barrier(processes + 1)
    with (
        tempfile.TemporaryDirectory() as store,
        context.Pool(processes, warm_up, (source, begin)) as pool,
    ):
        begin.wait()
        began = time.perf_counter()
        shares = [(source, store, p, processes) for p in range(processes)]
        cpu = max(pool.starmap(build_shards, shares, 1))
        return time.perf_counter() - began, cpu


def measure_scale(source: str, options: argparse.Namespace) -> None:
    by_clock, by_cpu, rows = [], [], []
    for number in range(options.rounds):
        (one, one_cpu), (two, two_cpu) = (whole_seconds(source, processes) for processes in (1, 2))
        by_clock.append(one / two)
        by_cpu.append(one_cpu / two_cpu)
        rows.append([
            f"round {number + 1}", f"{options.clips / one:.0f}", f"{options.clips / two:.0f}",
            f"{one / two:.2f}", f"{one_cpu / two_cpu:.2f}", f"{os.getloadavg()[0]:.1f}",
        ])  # fmt: skip
    rows.append(["median (range)", "", "", spread(by_clock), spread(by_cpu), ""])
    print("\n### Whole preparation\n")
    columns = ["clips/s", "one process", "two", "two is x times", "by CPU time", "load"]
    print(table(columns, rows))


def peak_mib(source: str) -> float:
    process = subprocess.run(
        [sys.executable, __file__, "--only", source], check=True, capture_output=True, text=True
    )
    return float(json.loads(process.stdout.splitlines()[-1]))


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
    parser.add_argument("--rounds", type=at_least_one, default=6)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        before = peak_resident_mib()
        with tempfile.TemporaryDirectory() as store:
            build_shards(options.only, store, 0, 1)
        print(peak_resident_mib() - before)
        return
    print("\n".join(machine()))
    if "parse" in options.parts:
        measure_parse(options)
    if "scale" in options.parts:
        with tempfile.TemporaryDirectory() as source:
            write_files(Path(source), options.clips)
            measure_scale(source, options)
    if "memory" in options.parts:
        measure_memory(options)


if __name__ == "__main__":
    run(main)
