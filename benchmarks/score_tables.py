"""Train a config on one thread and keep its score tables, to compare fusions on them offline.

Phase 1, and phase 2 under its guidance where the store has video, are trained in this process,
without Ray and MLflow. Without --store the synthetic data are made, with --seed as their seed too.
The file (npz) holds logits (S, N, K), labels, subjects and copies (N,) of val and of test.

    python benchmarks/score_tables.py --seed 1 --out demo-1.npz
    python benchmarks/score_tables.py --config experiments/configs/nw_ucla_cpu.yaml --store STORE \
        --protocol 1-2 --selection val --epochs 20 --seed 1 --out nw-1-2-1.npz
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import at_least_one, run

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import keep_shared_clips, stack_aligned
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.inputs.layout_mapping import load_training_clips
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import read_manifest
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1 import fitting as phase1
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2 import fitting as phase2
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.datasets.builders import prepare_synthetic
from hhmnet_platform.runs.config import Phase1Job
from hhmnet_platform.scripts.cli import parse_config


def read_config(file: str) -> Phase1Config:
    """Return the phase-1 config of a YAML file, the default one for ""."""
    if not file:
        return Phase1Config()
    job = parse_config("phase1.py", Phase1Job, ["--config", file])
    return Phase1Config(**{name: getattr(job, name) for name in Phase1Config.__annotations__})


def train(config: Phase1Config, clips: ClipSet, video_epochs: int | None) -> list[ScoreTable]:
    """Return the score tables of val and test of every network."""
    with tempfile.TemporaryDirectory() as folder:
        for report in phase1.fit(config, clips, Mesh()):
            tables = list(report.scores)
            if report.scores:
                report.state.save(Path(folder))
        if clips.manifest.visual is not None:
            second = Phase2Config(seed=config.seed)
            epochs = video_epochs or second.optim.epochs
            second = replace(second, optim=replace(second.optim, epochs=epochs))
            same = {name: getattr(config.data, name) for name in ("store", "protocol", "selection")}
            second = replace(second, data=replace(second.data, **same))
            footage = load_footage(config.data.store)
            *_, last = phase2.fit(second, clips, footage, Path(folder), Mesh())
            tables += last.scores
    return [table for table in tables if table.modality != FUSION]


def arrays(tables: Sequence[ScoreTable], clips: ClipSet) -> dict[str, np.ndarray]:
    """Return the arrays of the file."""
    subject_of = dict(zip(map(str, clips.sample_ids), clips.subjects.tolist(), strict=True))
    kept: dict[str, np.ndarray] = {}
    for split in ("val", "test"):
        own = [table for table in tables if table.split == split]
        if not own:
            continue
        own = keep_shared_clips(own[::-1])[::-1]  # a video network, the last one, has fewer clips
        ids = own[0].sample_ids
        kept |= {
            "members": np.array([table.modality for table in own]),
            f"{split}_logits": stack_aligned(own).astype(np.float32),
            f"{split}_labels": own[0].labels,
            f"{split}_ids": np.array(ids),
            f"{split}_subjects": np.array([subject_of[name] for name in ids]),
            f"{split}_copies": np.array([name in own[0].copies for name in ids]),
        }
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="", help="of phase 1; default: that of make demo")
    parser.add_argument("--store", default="", help="default: synthetic data of this seed")
    parser.add_argument("--protocol", default="", help="default: the store's first")
    parser.add_argument("--selection", default="val", help="val, last_epoch, or fold-2-of-5")
    parser.add_argument("--epochs", type=at_least_one, default=None, help="default: the config's")
    parser.add_argument("--video_epochs", type=at_least_one, default=None, help="of phase 2")
    parser.add_argument("--seed", type=at_least_one, default=1)
    parser.add_argument("--out", required=True, help="file to write, .npz")
    options = parser.parse_args()
    if not Path(options.out).absolute().parent.is_dir():
        raise InputError(f"--out {options.out}: there is no such folder, make it first.")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = options.store
        if not store:
            store = f"{folder}/store"
            prepare_synthetic(store, seed=options.seed, workers=1)
        config = read_config(options.config)
        data = replace(config.data, store=store, selection=options.selection)
        data = replace(
            data, protocol=options.protocol or next(iter(read_manifest(store).protocols))
        )
        optim = replace(config.optim, epochs=options.epochs or config.optim.epochs)
        config = replace(config, data=data, optim=optim, seed=options.seed)
        clips = load_training_clips(config.data)
        tables = train(config, clips, options.video_epochs)
    np.savez_compressed(options.out, **arrays(tables, clips))


if __name__ == "__main__":
    run(main)
