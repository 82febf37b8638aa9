"""Small trainings of both phases, and the models that they make."""

from dataclasses import replace
from pathlib import Path

from hhmnet_core.deploy.description import SCHEMA_VERSION, ModelDescription
from hhmnet_core.deploy.folders import model_content, write_model
from hhmnet_core.deploy.packing import Packed, pack_encoders
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.footage import Footage
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1 import fitting as phase1
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2 import fitting as phase2
from hhmnet_core.training.phase2.config import Phase2Config

Tables = dict[str, ScoreTable]  # of test, by member


def train_phase1(clips: ClipSet, checkpoint: Path) -> Tables:
    """Train four small encoders, save their checkpoint, and return their score tables of test."""
    config = Phase1Config(
        data=DataConfig(frames=16, normalise_size=True),
        model=ModelConfig(widths=[16, 32], heads=2, embedding=8),
        optim=OptimConfig(epochs=2, batch=8),
    )
    for report in phase1.fit(config, clips, Mesh()):
        report.state.save(checkpoint)
    return {table.modality: table for table in report.scores if table.split == "test"}


def train_phase2(clips: ClipSet, footage: Footage, guide: Path, checkpoint: Path) -> Tables:
    """Train a small video network, save its checkpoint, and return its score tables of test."""
    config = Phase2Config(
        video=VideoModelConfig(widths=[8, 16], depths=[1, 1], embedding=8),
        optim=OptimConfig(epochs=2, batch=8, lr=3e-3, warmup=1),
    )
    for report in phase2.fit(config, clips, footage, guide, Mesh()):
        report.state.save(checkpoint)
    return {table.modality: table for table in report.scores if table.split == "test"}


def write_packed(uri: str, clips: ClipSet, networks: list[Packed], **changes: object) -> str:
    """Write a model of packed networks, and return its folder."""
    manifest = clips.manifest
    described = ModelDescription(
        schema_version=SCHEMA_VERSION,
        name="made",
        kind="phase1",
        dataset=manifest.dataset,
        protocol="cross-view",
        selection="val",
        digest="0" * 64,
        source=dict(manifest.source),
        class_names=manifest.class_names,
        layout=manifest.layout,
        own_layout=manifest.own_layout,
        networks=tuple(network for network, _ in networks),
    )
    described = replace(described, **changes)  # type: ignore[arg-type]
    weights = {network.name: tensors for network, tensors in networks}
    write_model(model_content(described, weights), uri)
    return uri


def make_model(clips: ClipSet, folder: Path, **changes: object) -> str:
    """Train four small encoders, and return the folder of their model."""
    train_phase1(clips, folder / "checkpoint")
    packed = pack_encoders(folder / "checkpoint", "made", MODALITIES)
    return write_packed(str(folder / "model"), clips, packed, **changes)
