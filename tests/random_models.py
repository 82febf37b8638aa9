"""Small models with random weights, without training."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from hhmnet_core.deploy.description import SCHEMA_VERSION, ModelDescription, NetworkDescription
from hhmnet_core.deploy.folders import model_content, write_model
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.registry import build_encoder
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.clips import Float32Array
from hhmnet_core.training.phase1.config import Phase1Config

LAYOUT = "kinect_v1_20"
CLASSES = ("raise", "lower", "sway")
FIGURES = {"val_top1": 0.75, "test_top1": 0.625, "test_clips": 8.0}


def write_random_model(
    folder: Path, seed: int = 1, members: tuple[str, ...] = ("joint", "bone"), **changes: object
) -> str:
    """Write a model of skeletons, with other values for some fields; return its folder."""
    config = Phase1Config(
        data=DataConfig(frames=16), model=ModelConfig(widths=[8, 16], heads=2, embedding=8)
    )
    name = str(changes.pop("name", f"toy-phase1-{seed}"))
    networks = tuple(NetworkDescription(each, each, name, asdict(config)) for each in members)
    described = ModelDescription(
        SCHEMA_VERSION, name, "phase1", "toy", "cross-view", "val", "d" * 64,
        {"made": "by the tests"}, CLASSES, LAYOUT, None, networks, threshold=0.5, figures=FIGURES,
    )  # fmt: skip
    described = replace(described, **changes)  # type: ignore[arg-type]
    weights = {}
    for number, member in enumerate(members):
        torch.manual_seed(100 * seed + number)
        encoder = build_encoder(config.model, get_layout(LAYOUT), len(CLASSES), 0.1, False)
        weights[member] = encoder.state_dict()
    write_model(model_content(described, weights), folder)
    return str(folder)


def random_clips(number: int = 5) -> list[Float32Array]:
    """Return clips (T, V, C) or (M, T, V, C), of different lengths."""
    random = np.random.default_rng(3)
    shapes = [(9 + 4 * at, 20, 3) if at % 2 else (2, 8 + at, 20, 3) for at in range(number)]
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]
