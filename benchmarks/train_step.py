"""Measure clips per second of real training steps, of each model in turns with ST&ST.

    python benchmarks/train_step.py [--shapes nw_ucla ntu] [--batches 16 64] [--rounds 3]
        [--models stst ctr_gcn st_gcn four] [--device cpu] [--threads 2] [--precision float32]

A step is the trainer's own: reading the batch, augmentation, forward, backward, clipping,
optimiser, weight averaging. "four" trains the four modalities with contrast in one process. The
models take turns in every round. A ratio compares two models of the same round; its median and
range over the rounds are shown. Memory is the peak of a fresh process (CPU) or of its allocator
(CUDA). Clips are random numbers: every body is present, and every clip as long as the model reads.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from common import at_least_one, machine, peak_resident_mib, run, spread, table

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.clips import Clip, ClipSet
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from made_stores import write_store

# Layout, frames, bodies and classes of each data set, as CTR-GCN reads it.
SHAPES = {"nw_ucla": ("kinect_v1_20", 52, 1, 10), "ntu": ("kinect_v2_25", 64, 2, 60)}
MODELS = ("stst", "ctr_gcn", "st_gcn", "four")


def random_clips(shape: str, number: int) -> ClipSet:
    """Return clips of random joints, from a temporary store."""
    layout, frames, bodies, classes = SHAPES[shape]
    joints = get_layout(layout).num_joints
    random = np.random.default_rng(0)

    def clips() -> Iterator[Clip]:
        for i in range(number + 1):
            values = random.standard_normal((bodies, frames, joints, 3)).astype(np.float32)
            yield Clip(f"clip{i:05d}", i % classes, 1 + i % 2, 1 + (i == number), 0, values)

    with tempfile.TemporaryDirectory() as folder:
        write_store(
            Path(folder, "store"),
            clips(),
            dataset="random",
            layout=layout,
            class_names=tuple(map(str, range(classes))),
            protocols={"all": Protocol(train={"camera": [1]}, test={"camera": [2]})},
            source={"made": "random numbers"},
        )
        return load_clips(Path(folder, "store"), Path(folder, "cache"))


class Candidate:
    """A model that is ready to train on clips of one shape, with one batch size."""

    def __init__(
        self, model: str, clips: ClipSet, frames: int, options: argparse.Namespace
    ) -> None:
        self.device = torch.device(options.device)
        config = Phase1Config(
            data=DataConfig(selection="literature", frames=frames),
            model=ModelConfig(name="stst" if model == "four" else model),
            optim=OptimConfig(
                batch=options.batch,
                precision=options.precision,
                clip=0.0 if model in ("ctr_gcn", "st_gcn") else 1.0,  # as they were published
            ),
        )
        mesh = Mesh() if model == "four" else Mesh.alone(4)
        self.trainer = Phase1Trainer(config, clips, mesh, self.device)
        self.order = self.trainer.epoch_order(1)
        self.done = 0

    def clips_per_second(self, seconds: float) -> float:
        """Train for about so many seconds, at least two steps; return clips per second."""
        clips, started = 0, time.perf_counter()
        while clips == 0 or time.perf_counter() - started < seconds:
            for _ in range(2):
                batch = self.order[self.done % len(self.order)]
                self.trainer.train_step(self.trainer.prepare(1, self.done, batch))
                self.done += 1
                clips += len(batch)
        self._wait()
        return clips / (time.perf_counter() - started)

    def forward_clips_per_second(self, seconds: float) -> float:
        """Score clips for about so many seconds, without training; return clips per second."""
        indices = torch.cat(self.order[:4]).numpy()
        clips, started = 0, time.perf_counter()
        while clips == 0 or time.perf_counter() - started < seconds:
            self.trainer.logits(indices)
            clips += len(indices)
        self._wait()
        return clips / (time.perf_counter() - started)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def peak_mib(model: str, shape: str, options: argparse.Namespace) -> float:
    """Return the peak MiB of four training steps in a fresh process, beyond that of its start."""
    arguments = ["--only", model, "--shapes", shape, "--batches", str(options.batch)]
    arguments += ["--device", options.device, "--threads", str(options.threads)]
    arguments += ["--precision", options.precision]
    process = subprocess.run(
        [sys.executable, __file__, *arguments], check=True, capture_output=True, text=True
    )
    return float(json.loads(process.stdout.splitlines()[-1]))


def report_peak(model: str, options: argparse.Namespace) -> None:
    clips = random_clips(options.shapes[0], 4 * options.batch)
    before = peak_resident_mib()
    candidate = Candidate(model, clips, SHAPES[options.shapes[0]][1], options)
    for step, batch in enumerate(candidate.order):
        candidate.trainer.train_step(candidate.trainer.prepare(1, step, batch))
    if candidate.device.type == "cuda":
        print(torch.cuda.max_memory_allocated(candidate.device) / 2**20)
    else:
        print(peak_resident_mib() - before)


def measure(shape: str, options: argparse.Namespace) -> list[list[object]]:
    """Return a row of figures per model."""
    clips = random_clips(shape, 4 * options.batch)
    candidates = {m: Candidate(m, clips, SHAPES[shape][1], options) for m in options.models}
    for candidate in candidates.values():
        candidate.clips_per_second(0)  # warm-up
    trained: dict[str, list[float]] = {m: [] for m in candidates}
    for _ in range(options.rounds):
        for model, candidate in candidates.items():
            trained[model].append(candidate.clips_per_second(options.seconds))
    rows: list[list[object]] = []
    for model, candidate in candidates.items():
        ratios = [s / m for s, m in zip(trained["stst"], trained[model], strict=True)]
        row = [
            shape,
            options.batch,
            model,
            f"{statistics.median(trained[model]):.1f}",
            f"{candidate.forward_clips_per_second(options.seconds):.1f}",
            spread(ratios),
            f"{peak_mib(model, shape, options):.0f}",
        ]
        print(*row, sep="  ", file=sys.stderr, flush=True)
        rows.append(row)
    return rows


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--batches", nargs="+", type=at_least_one, default=[16, 64])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--rounds", type=at_least_one, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds per model and round")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=at_least_one, default=torch.get_num_threads())
    parser.add_argument("--precision", choices=("float32", "float64"), default="float32")
    parser.add_argument("--only", choices=MODELS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU on this machine")
    if "stst" not in options.models:
        options.models.insert(0, "stst")
    return options


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    if options.only:
        options.batch = options.batches[0]
        report_peak(options.only, options)
        return
    print("\n".join(machine()))
    print(f"{options.device}, {options.threads} threads, "
          f"{options.precision}, {options.rounds} rounds of {options.seconds:g} s")  # fmt: skip
    rows = []
    for shape in options.shapes:
        for batch in options.batches:
            options.batch = batch
            rows += measure(shape, options)
    headings = ["shape", "batch", "model", "trained clips/s", "scored clips/s", "ST&ST is x times"]
    print("\n" + table([*headings, "MiB"], rows))


if __name__ == "__main__":
    run(main)
