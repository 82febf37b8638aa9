"""Measure the speed of the input pipeline, and its share of a training step.

    python benchmarks/input_pipeline.py [--store URI] [--batches 16 64] [--frames 48] [--rounds 5]

The first table times the input of every step (a random crop of clips on the device, augmentation,
and the four modalities derived) and, in turns with it, a whole step of the four modalities with
contrast. The second table times reading a store: verified and decoded from its shards, and mapped
again from the cached file of the node. Without --store: synthetic clips with 20 joints, one body
and 3 channels.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from common import at_least_one, machine, run, spread, store_or_synthetic, table

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.reading import load_clips, read_manifest
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer


def seconds_of(work: Callable[[int], None], times: int, device: torch.device) -> float:
    """Return the mean seconds of `work(step)`."""
    started = time.perf_counter()
    for step in range(times):
        work(step)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / times


def measure_batches(store: str, batch: int, options: argparse.Namespace) -> list[object]:
    """Return a row of times: of the input and of whole steps, measured in turns."""
    device = torch.device(options.device)
    config = Phase1Config(
        data=DataConfig(selection="literature", frames=options.frames),
        optim=OptimConfig(batch=batch),
    )
    trainer = Phase1Trainer(config, load_clips(store), Mesh(), device)
    order = trainer.epoch_order(1)

    def read(step: int) -> None:
        prepared = trainer.prepare(1, step, order[step % len(order)])
        joints = trainer.augmented(prepared.inputs).joints_nctvm
        for modality in MODALITIES:
            trainer.derive(joints, modality)

    def train(step: int) -> None:
        trainer.train_step(trainer.prepare(1, step, order[step % len(order)]))

    reading, training = [], []
    for work in (read, train):
        seconds_of(work, 1, device)  # warm-up
    for _ in range(options.rounds):
        reading.append(seconds_of(read, 10 * options.steps, device))
        training.append(seconds_of(train, options.steps, device))
    clips = statistics.mean(len(clips_n) for clips_n in order)
    shares = [100 * input_ / whole for input_, whole in zip(reading, training, strict=True)]
    return [
        batch,
        f"{1000 * statistics.median(reading):.2f}",
        f"{clips / statistics.median(reading):,.0f}",
        f"{1000 * statistics.median(training):.0f}",
        spread(shares),
    ]


def measure_reading(store: str, rounds: int) -> list[list[object]]:
    """Return a row for each way to read the store."""
    manifest = read_manifest(store)
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for seconds in (cold, warm):
                started = time.perf_counter()
                clips = load_clips(store, cache)
                clips.frames.sum()  # touches every page
                seconds.append(time.perf_counter() - started)
    return [
        [
            name,
            f"{statistics.median(seconds):.3f}",
            f"{manifest.num_clips / statistics.median(seconds):,.0f}",
            f"{size / 1e6 / statistics.median(seconds):,.1f}",
        ]
        for name, seconds, size in (
            ("shards, verified and decoded", cold, manifest.num_bytes),
            ("the node's file, mapped", warm, clips.frames.nbytes),
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="", help="URI of a clip store; default: a synthetic one")
    parser.add_argument("--batches", nargs="+", type=at_least_one, default=[16, 64])
    parser.add_argument("--frames", type=at_least_one, default=48, help="frames per model input")
    parser.add_argument("--rounds", type=at_least_one, default=5)
    parser.add_argument("--steps", type=at_least_one, default=3, help="training steps per round")
    parser.add_argument("--threads", type=at_least_one, default=torch.get_num_threads())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with store_or_synthetic(options.store, clips_per_class=30) as store:
        print("\n".join(machine()))
        where = f"{options.device}, {options.threads} threads, T = {options.frames}"
        print(f"{where}, {options.rounds} rounds\n")
        headings = ["N", "input, ms", "input, clips/s", "whole step, ms", "input's share, %"]
        rows = [measure_batches(store, batch, options) for batch in options.batches]
        print(table(headings, rows))
        headings = ["reading a store", "s", "clips/s", "MB/s"]
        print(f"\n{table(headings, measure_reading(store, options.rounds))}")


if __name__ == "__main__":
    run(main)
