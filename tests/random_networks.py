"""Models of random weights, without training."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from hhmnet_core.deploy.description import SCHEMA_VERSION, ModelDescription, NetworkDescription
from hhmnet_core.deploy.folders import model_content, write_model
from hhmnet_core.deploy.packing import Packed
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.registry import build_encoder
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.skeleton.layouts import Layout, get_layout
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config

CLASSES = ("wave", "sit", "jump")
SMALL = ModelConfig(widths=[16, 32], heads=2, embedding=8)


def random_network(
    name: str,
    member: str = "joint",
    data: DataConfig | None = None,
    model: ModelConfig = SMALL,
    layout: Layout | None = None,
    precision: str = "float32",
    weight: float = 1.0,
    temperature: float = 1.0,
    augment: AugmentConfig | None = None,
) -> Packed:
    """Return a network whose every weight is random, and whose input is standardised."""
    layout = layout or get_layout("kinect_v1_20")
    optim = OptimConfig(precision=precision)  # type: ignore[arg-type]
    config = Phase1Config(
        data=data or DataConfig(frames=16),
        model=model,
        optim=optim,
        augment=augment or AugmentConfig(),
    )
    encoder = build_encoder(model, layout, len(CLASSES))
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        encoder.standardise(
            0.1 * torch.randn(layout.num_joints, layout.channels), torch.tensor(0.4)
        )
        for _ in range(10):  # statistics of batches, for encoders that have them
            encoder.train()(0.4 * torch.randn(4, layout.channels, 16, layout.num_joints, 1))
    encoder.to(config.optim.dtype)
    values = json.loads(json.dumps(asdict(config)))  # lists for tuples, as in checkpoints
    described = NetworkDescription(name, member, "random", values, weight, temperature)
    tensors: dict[str, Tensor] = dict(encoder.state_dict())
    return described, tensors


def four_networks() -> list[Packed]:
    """Return a network for each modality."""
    return [random_network(member, member) for member in MODALITIES]


def random_model(networks: list[Packed], **fields: object) -> ModelDescription:
    """Return the description of a model of some networks."""
    values = {
        "schema_version": SCHEMA_VERSION,
        "name": "random",
        "kind": "phase1",
        "dataset": "made",
        "protocol": "cross-subject",
        "selection": "val",
        "digest": "0" * 64,
        "source": {},
        "class_names": CLASSES,
        "layout": "kinect_v1_20",
        "own_layout": None,
        "networks": tuple(network for network, _ in networks),
    }
    return ModelDescription(**values | fields)  # type: ignore[arg-type]


def tensors_of(networks: list[Packed]) -> dict[str, dict[str, Tensor]]:
    return {network.name: tensors for network, tensors in networks}


def write_random_model(folder: Path, networks: list[Packed], **fields: object) -> Path:
    """Write a model of some networks, and return its folder."""
    described = random_model(networks, **fields)
    write_model(model_content(described, tensors_of(networks)), folder)
    return folder
