"""One process of phase 2: `phase2_worker.py RANK WORLD RENDEZVOUS STORE PHASE1 OUT [RESUME]`.

Reports after every step.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist

from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase2.config import PartsConfig, Phase2Config
from hhmnet_core.training.phase2.fitting import fit


def config() -> Phase2Config:
    """Small, in double precision, with everything random on; batches are uneven."""
    return Phase2Config(
        video=VideoModelConfig(widths=[8, 16], depths=[1, 1], embedding=8),
        parts=PartsConfig(weight=1.0),
        augment=VideoAugmentConfig(mirror=0.5),
        optim=OptimConfig(epochs=2, batch=5, warmup=1, precision="float64"),
    )


def main(
    rank: int, world: int, rendezvous: str, store: str, phase1: str, out: str, *resume: str
) -> None:
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=world)
    cache = Path(out) / "cache"
    clips, footage = load_clips(store, cache), load_footage(store, cache)
    options = {"resume": Path(resume[0])} if resume else {}
    for report in fit(
        config(), clips, footage, Path(phase1), Mesh(), max_unsaved=lambda: 0.0, **options
    ):
        within = f"-{report.steps}" if report.steps else ""
        report.state.save(Path(out) / f"epoch{report.epoch}{within}")
    tables = {f"{t.modality}-{t.split}": t.logits.tolist() for t in report.scores}
    summary = {"history": [asdict(record) for record in report.history], "scores": tables}
    (Path(out) / f"rank{rank}.json").write_text(json.dumps(summary))
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    rank, world, *paths = sys.argv[1:]
    main(int(rank), int(world), *paths)
    sys.stderr.flush()
    os._exit(0)  # the threads of Gloo have aborted finished processes while Python ends
