"""Measure how long a training step of phase 2 waits for its images.

    python benchmarks/video_input.py [--size 112] [--images 8] [--batch 16] [--epochs 3]

Synthetic clips with drawn video, the built-in network with the default config, guided by an encoder
that is not trained. The images of a batch are decoded on threads while the step before is computed
("decoded"), or decoded once and kept ("kept"). The share is the time of an epoch in which nothing
was computed since the next batch was not there yet.
"""

import argparse
import tempfile
import time

import torch
from common import at_least_one, machine, run, spread, table

from hhmnet_core.inputs.footage import FootageReader, load_footage
from hhmnet_core.sources.video_crops import VideoConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.trainer import make_encoder
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.trainer import Phase2Trainer
from hhmnet_platform.datasets.builders import prepare_synthetic

CPU = torch.device("cpu")


def waiting(trainer: Phase2Trainer, epoch: int) -> tuple[float, float]:
    """Return the seconds of an epoch, and those of them that it waited for inputs."""
    began = time.perf_counter()
    waited = 0.0
    steps = trainer.prepared(epoch, trainer.epoch_order(epoch))
    while True:
        asked = time.perf_counter()
        following = next(steps, None)
        waited += time.perf_counter() - asked
        if following is None:
            return time.perf_counter() - began, waited
        trainer.train_step(following[1])


def measure(store: str, kept: bool, options: argparse.Namespace) -> list[object]:
    """Return a row of the table."""
    clips, footage = load_clips(store), load_footage(store)
    guiding = Phase1Config()
    encoder = make_encoder(guiding, "joint", clips)
    guide = FrozenEncoder(encoder, guiding, "joint", clips, CPU)
    config = Phase2Config(optim=OptimConfig(batch=options.batch, epochs=options.epochs + 1))
    trainer = Phase2Trainer(config, clips, footage, guide, Mesh(), CPU)
    trainer.reader = FootageReader(footage, CPU, resident=kept)
    waiting(trainer, 1)  # warm-up
    seconds, shares = [], []
    for epoch in range(2, options.epochs + 2):
        whole, waited = waiting(trainer, epoch)
        seconds.append(1000 * whole / trainer.steps_per_epoch)
        shares.append(100 * waited / whole)
    return ["kept" if kept else "decoded", spread(seconds, 0), spread(shares)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=at_least_one, default=112, help="pixels of an image's side")
    parser.add_argument("--images", type=at_least_one, default=8, help="images per clip")
    parser.add_argument("--clips", type=at_least_one, default=10, help="clips per class")
    parser.add_argument("--batch", type=at_least_one, default=16)
    parser.add_argument("--epochs", type=at_least_one, default=3)
    parser.add_argument("--threads", type=at_least_one, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    video = VideoConfig(frames=options.images, size=options.size)
    with tempfile.TemporaryDirectory() as folder:
        prepare_synthetic(folder, clips_per_class=options.clips, video=video, workers=1)
        rows = [measure(folder, kept, options) for kept in (False, True)]
    print("\n".join(machine()))
    print(
        f"{options.threads} threads, batches of {options.batch} clips, {options.images} images of "
        f"{options.size} x {options.size} in each\n"
    )
    print(table(["images", "step, ms", "waiting, %"], rows))


if __name__ == "__main__":
    run(main)
