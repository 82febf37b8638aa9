"""Golden figures: losses of the first 20 steps of both phases, held in tests/golden/.

A change that moves these figures says so, with the reason, in its commit message and CHANGELOG.md.
To rewrite them, run this file with `REWRITE_GOLDEN=1 python -m pytest <this file>`.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from video_files import write_video_store

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.footage import load_footage
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_core.training.phase2.config import PartsConfig, Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.trainer import Phase2Trainer

GOLDEN = Path(__file__).parents[2] / "golden"
CPU = torch.device("cpu")
STEPS = 20
# Relative. Networks train in float64, but their input and the guide of phase 2 are float32, whose
# rounding depends on the CPU's vector units: up to 8e-8 in the loss of a step. Where that turns
# the sign of one activation, later losses differ by up to 4e-4.
SAME_CPU, OTHER_CPU = 1e-6, 1e-2
# Every source of randomness is on. Batches are uneven: 24 training clips by 5.
OPTIM = OptimConfig(epochs=5, batch=5, warmup=1, precision="float64")
PHASE1 = Phase1Config(
    data=DataConfig(frames=16),
    model=ModelConfig(widths=[16, 32], heads=2, drop_path=0.3, dropout=0.2, embedding=8),
    augment=AugmentConfig(mirror=0.5),
    contrast=ContrastConfig(weight=0.5, learn_temperature=True),
    optim=OPTIM,
)
PHASE2 = Phase2Config(
    video=VideoModelConfig(widths=[8, 16], depths=[1, 1], embedding=8),
    parts=PartsConfig(weight=1.0),
    augment=VideoAugmentConfig(mirror=0.5),
    optim=OPTIM,
)


def first_steps(trainer: Phase1Trainer | Phase2Trainer) -> Iterator[Tensor]:
    """Train step by step, yielding (members, 3): loss, correct and contrast, each a mean."""
    for epoch in count(1):
        for step, clips_n in enumerate(trainer.epoch_order(epoch)):
            yield trainer.train_step(trainer.prepare(epoch, step, clips_n)).view(-1, 3) / len(
                clips_n
            )


def check(name: str, members: Sequence[str], trainer: Phase1Trainer | Phase2Trainer) -> None:
    """Compare the first losses of a trainer with those of its golden file, or rewrite the file."""
    losses = [
        [value for loss, _, contrast in step_m3.tolist() for value in (loss, contrast)]
        for step_m3 in islice(first_steps(trainer), STEPS)
    ]
    cpu = f"# cpu {torch.backends.cpu.get_cpu_capability()}"
    heading = ["step", *(f"{member}/{what}" for member in members for what in ("loss", "contrast"))]
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("REWRITE_GOLDEN"):
        rows = [heading, *([str(step), *map(repr, row)] for step, row in enumerate(losses))]
        file.write_text("\n".join([cpu, *map(" ".join, rows), ""]))
    made_on, *lines = file.read_text().splitlines()
    first, *golden = [line.split() for line in lines]
    assert first == heading and [row[0] for row in golden] == [str(at) for at in range(STEPS)]
    tolerance = SAME_CPU if made_on == cpu else OTHER_CPU
    for row, (step, *values) in zip(losses, golden, strict=True):
        expected = [float(value) for value in values]
        assert row == pytest.approx(expected, rel=tolerance), f"step {step}"


@pytest.mark.parametrize(("name", "version"), [("phase1_losses", 2), ("phase1_losses_re_dmt_1", 1)])
def test_first_losses_of_phase1(name: str, version: Literal[1, 2], tiny_clips: ClipSet) -> None:
    scale = 0.5 if version == 2 else 0.02  # the defaults of their time
    context = PHASE1.model.context if version == 2 else []
    augment = PHASE1.augment
    if version == 1:
        augment = replace(augment, motion_share=0.0, joint_noise=0.01, bone_noise=0.0)
    config = replace(
        PHASE1,
        data=replace(PHASE1.data, motion_share=augment.motion_share),
        model=replace(PHASE1.model, re_dmt=version, joint_scale=scale, context=context),
        augment=augment,
    )
    check(name, MODALITIES, Phase1Trainer(config, tiny_clips, Mesh(), CPU))


@pytest.mark.locked
def test_first_losses_of_phase2(tmp_path: Path) -> None:
    store = write_video_store(tmp_path / "store")
    clips, footage = (load(store, tmp_path / "cache") for load in (load_clips, load_footage))
    # A third of the clips stand still: the importance of their joints would be rounding alone.
    sway = np.random.default_rng(1).normal(scale=0.1, size=clips.frames.shape)
    clips = replace(clips, frames=clips.frames + sway.astype(np.float32))
    (report,) = fit(replace(PHASE1, optim=replace(OPTIM, epochs=1)), clips, Mesh())
    report.state.save(tmp_path / "phase1")
    guide = FrozenEncoder.read(tmp_path / "phase1", "joint", clips, CPU)
    check("phase2_losses", ["video"], Phase2Trainer(PHASE2, clips, footage, guide, Mesh(), CPU))
