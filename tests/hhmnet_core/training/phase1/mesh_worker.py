"""One process of a mesh: `mesh_worker.py RANK WORLD P RENDEZVOUS STORE OUT [RESUME]`.

It reports after every second step. Ranks alternate between two nodes.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import save_file

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig, average_weight
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase1.trainer import Phase1Trainer


def config(epochs: int = 3) -> Phase1Config:
    """Small, in double precision, with every source of randomness and both ways to contrast on."""
    return Phase1Config(
        data=DataConfig(frames=16),
        model=ModelConfig(widths=[16, 32], heads=2, drop_path=0.3, dropout=0.2, embedding=8),
        contrast=ContrastConfig(weight=0.5, learn_temperature=True),
        # 24 clips in batches of 5: the shares are uneven in every mesh.
        optim=OptimConfig(epochs=epochs, batch=5, warmup=1, precision="float64"),
    )


def record_first_gradients(folder: Path) -> None:
    """Make a trainer write the gradients of its first step, as the optimisers get them."""
    update = Phase1Trainer.update
    first = average_weight(OptimConfig.ema, 0)

    def record_and_update(self: Phase1Trainer, rate: float, weight: float) -> None:
        for stream in self.streams if weight == first else ():
            grads = {n: p.grad.clone() for n, p in stream.model.named_parameters()}
            save_file(grads, folder / f"{stream.member}-gradient.safetensors")
        update(self, rate, weight)

    Phase1Trainer.update = record_and_update  # type: ignore[method-assign]


class MaxUnsaved:
    """The seconds that may go unsaved: none at every second call on the last rank, else an hour."""

    def __init__(self, rank: int, world: int) -> None:
        self.is_impatient, self.calls = rank == world - 1, 0

    def __call__(self) -> float:
        self.calls += 1
        return 0.0 if self.is_impatient and self.calls % 2 == 0 else 3600.0


def main(
    rank: int,
    world: int,
    modality_parallel: int,
    rendezvous: str,
    store: str,
    out: str,
    *resume: str,
) -> None:
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=world)
    mesh = Mesh(modality_parallel, nodes=[f"node{rank % 2}" for rank in range(world)])
    record_first_gradients(Path(out))
    clips = load_clips(store, Path(out) / "cache")
    options = {"resume": Path(resume[0])} if resume else {}
    for report in fit(config(), clips, mesh, max_unsaved=MaxUnsaved(rank, world), **options):
        within = f"-{report.steps}" if report.steps else ""
        report.state.save(Path(out) / f"epoch{report.epoch}{within}")
    tables = {f"{t.modality}-{t.split}": t.logits.tolist() for t in report.scores}
    content = {"history": [asdict(record) for record in report.history], "scores": tables}
    (Path(out) / f"rank{rank}.json").write_text(json.dumps(content))
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    rank, world, modality_parallel, *paths = sys.argv[1:]
    main(int(rank), int(world), int(modality_parallel), *paths)
    sys.stderr.flush()
    os._exit(0)  # the threads of Gloo have aborted finished processes while Python ends
