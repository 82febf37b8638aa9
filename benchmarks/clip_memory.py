"""Measure the memory of a large store's clips in training, on the device or read from their file.

    python benchmarks/clip_memory.py [--clips 40000] [--frames 64] [--batch 64] [--workers 1 2 4]

The clips are random but shaped as those of NTU RGB+D 60: 25 joints, 32 to 200 frames, two bodies
in every eighth. The processes of a row, the workers of one node, each map the store and read an
epoch of batches. They report their peak memory beyond their imports: their own, summed over them,
and pages of the mapped file, which they share and the system can reclaim; and the seconds until the
first batch was there. The first row is the size of the padded float32 array (clips, 300 frames, 2 x
25 x 3) that most implementations load.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import at_least_one, machine, run, table

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.augment import frame_positions
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.store.reading import load_clips

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from made_stores import write_store

PADDED_FRAMES, BODIES, JOINTS = 300, 2, 25


def random_clips(number: int) -> Iterator[Clip]:
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(np.log(80), 0.4, number), 32, 200).astype(int)
    noise = random.normal(size=(2 * lengths.max(), JOINTS, 3)).astype(np.float32)
    for clip, frames in enumerate(lengths):
        bodies = 2 if clip % 8 == 0 else 1
        joints = noise[: bodies * frames].reshape(bodies, frames, JOINTS, 3)
        yield Clip(f"c{clip:06}", clip % 60, clip % 40, 1 + clip % 3, 0, joints)


def resident_bytes() -> tuple[int, int]:
    """Return the resident bytes of this process: its own, and those of mapped files."""
    status = Path("/proc/self/status").read_text()
    own, mapped = (
        int(status.split(f"{name}:")[1].split()[0]) * 1024 for name in ("RssAnon", "RssFile")
    )
    return own, mapped


def epoch(store: str, resident: bool, options: argparse.Namespace) -> dict[str, float]:
    """Read an epoch of batches; return the peak memory in bytes, and the seconds."""
    clips = load_clips(store)  # writes the cached file of the node
    del clips
    before = resident_bytes()
    peak = [0, 0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for kind, (now, start) in enumerate(zip(resident_bytes(), before, strict=True)):
                peak[kind] = max(peak[kind], now - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    config = DataConfig(frames=options.frames, align=True)
    began = time.perf_counter()
    reader = BatchReader(load_clips(store), config, torch.device("cpu"), resident)
    order = torch.randperm(options.clips, generator=torch.Generator().manual_seed(0))
    first = 0.0
    for clips_n in order.split(options.batch):
        positions = frame_positions(reader.num_frames(clips_n), options.frames)
        reader.read(reader.plan(clips_n, positions))
        first = first or time.perf_counter() - began
    seconds = time.perf_counter() - began - first
    done.set()
    watcher.join()
    return {"own": peak[0], "mapped": peak[1], "first": first, "seconds": seconds}


def workers(number: int, way: str, store: str, options: argparse.Namespace) -> list[object]:
    """Return a row of what processes that read the store side by side reported."""
    arguments = ["--only", store, way, "--clips", options.clips, "--frames", options.frames]
    environment = {**os.environ, "HHMNET_CACHE": f"{store}-cache"}
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments), "--batch", str(options.batch)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(number)
    ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise InputError("A process that read the store failed: its error stands above.")
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    own, mapped = sum(each["own"] for each in found), max(each["mapped"] for each in found)
    first = max(each["first"] for each in found)
    speed = sum(options.clips / each["seconds"] for each in found)
    return [f"{own / 1e9:.2f}", f"{mapped / 1e9:.2f}", f"{first:.1f}", f"{speed:,.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=at_least_one, default=40_000)
    parser.add_argument("--frames", type=at_least_one, default=64, help="frames per model input")
    parser.add_argument("--batch", type=at_least_one, default=64)
    parser.add_argument("--workers", nargs="+", type=at_least_one, default=[1, 2, 4])
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        store, way = options.only
        print(json.dumps(epoch(store, way == "resident", options)))
        return
    print("\n".join(machine()) + "\n")
    padded = options.clips * PADDED_FRAMES * BODIES * JOINTS * 3 * 4
    rows: list[list[object]] = [["padded array", f"{padded / 1e9:.2f}", "", "", ""]]
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/store"
        write_store(
            store,
            random_clips(options.clips),
            dataset="made-up",
            layout="kinect_v2_25",
            class_names=[str(label) for label in range(60)],
            protocols={"xview": Protocol({"camera": [2, 3]}, {"camera": [1]})},
            source={"made": "up"},
        )
        rows.append(["kept by the process", *workers(1, "resident", store, options)])
        for number in options.workers:
            name = f"read from the file, {number} process{'es' * (number > 1)}"
            rows.append([name, *workers(number, "mapped", store, options)])
    headings = ["own, GB", "mapped, GB", "first batch, s", "clips/s"]
    print(table([f"{options.clips:,} clips", *headings], rows))


if __name__ == "__main__":
    run(main)
