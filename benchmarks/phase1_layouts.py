"""Measure seconds per epoch of phase 1 with meshes of several shapes, on one machine.

    python benchmarks/phase1_layouts.py --store URI [--epochs 3] [--layouts 1x1 1x2 1x4]

Plain processes over gloo, without Ray. The cores are divided evenly into threads, at least one per
process. The first epoch is a warm-up and does not count. The last training loss shows that all
meshes compute the same.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit


def train(rank: int, world: int, modality_parallel: int, folder: str, options: Any) -> None:
    """Train as one process of a mesh; rank 0 saves the seconds of each epoch and the last loss."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    if world > 1:
        dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=world)
    config = Phase1Config(optim=OptimConfig(epochs=options.epochs + 1, batch=options.batch))
    seconds = []
    for report in fit(config, load_clips(options.store), Mesh(modality_parallel)):
        seconds.append(report.history[-1].seconds)
    if rank == 0:
        torch.save((seconds, report.metrics["joint"]["train/loss"]), Path(folder, "result"))
    if world > 1:
        dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", required=True, help="URI of a clip store")
    parser.add_argument("--epochs", type=int, default=3, help="number of epochs that are timed")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--layouts", nargs="+", default=["1x1", "1x2", "1x4"], help="meshes, D x P")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, batch {options.batch}")
    print("layout  threads each  s/epoch  ratio to the first  last training loss")
    first = None
    for layout in options.layouts:
        data, modality = (int(part) for part in layout.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            mp.spawn(train, (data * modality, modality, folder, options), nprocs=data * modality)
            seconds, loss = torch.load(Path(folder, "result"))
        mean = sum(seconds[1:]) / options.epochs
        first = first or mean
        threads = max(1, (os.cpu_count() or 1) // (data * modality))
        print(f"{layout:6}  {threads:12}  {mean:7.2f}  {mean / first:18.2f}  {loss:.6f}")


if __name__ == "__main__":
    main()
