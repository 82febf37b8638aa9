"""Logits of the skeleton encoders of a model.

Shapes: N clips, K classes.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from hhmnet_core.deploy.description import ModelDescription, NetworkDescription
from hhmnet_core.deploy.frozen_layers import freeze_layers
from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.fusion.scores import VIDEO
from hhmnet_core.identity import canonical, identity
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.views import View, mean_of_views, scored_views
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.precision import set_float32_products
from hhmnet_core.models.registry import build_encoder
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.modalities import Derivation
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.parallel_encoders import ParallelEncoders
from hhmnet_core.training.phase1.trainer import Phase1Trainer


@dataclass(frozen=True)
class SkeletonNetwork:
    """An encoder of a model, with the config that trained it.

    Attributes:
        name: Name in the model.
        member: Its modality.
        config: Config of phase 1, without the location of its data.
        encoder: The encoder, in evaluation mode.
    """

    name: str
    member: str
    config: Phase1Config
    encoder: Encoder

    @classmethod
    def build(
        cls,
        network: NetworkDescription,
        weights: Mapping[str, Tensor],
        layout: Layout,
        num_classes: int,
        device: torch.device,
    ) -> "SkeletonNetwork":
        """Build an encoder and load its weights.

        Raises:
            InputError: A config of another version, or weights that do not fit it.
        """
        config = from_json(Phase1Config, network.config)
        encoder = build_encoder(
            config.model,
            layout,
            num_classes,
            config.contrast.temperature,
            config.contrast.learn_temperature,
        )
        load_weights(encoder, weights, network.name)
        freeze_layers(encoder)
        encoder.to(device, config.optim.dtype).eval().requires_grad_(False)
        set_float32_products(config.optim.precision, device)
        return cls(network.name, network.member, config, encoder)

    @property
    def reading(self) -> bytes:
        """Key of all that decides how clips become joints, from which its modality is derived."""
        data = replace(
            self.config.data,
            store="", protocol="", selection="val", train_share=1.0, motion_step=1,
        )  # fmt: skip
        views = [asdict(view) for view in self.views]
        return canonical([identity(data), self.config.optim.precision, views])

    @cached_property
    def views(self) -> list[View]:
        """The views of a clip that it scores."""
        return scored_views(self.config.augment, self.encoder.layout)


def with_views(model: ModelDescription, views: int) -> ModelDescription:
    """Return a model whose encoders score so many views of a clip, without the figures of before.

    Raises InputError where that does not fit the config of an encoder.
    """
    networks = []
    for network in model.networks:
        if network.member != VIDEO:
            config = from_json(Phase1Config, network.config)
            replace(config, augment=replace(config.augment, views=views))  # checks it
            augment = network.config.get("augment", {}) | {"views": views}
            network = replace(network, config=network.config | {"augment": augment})
        networks.append(network)
    return replace(model, networks=tuple(networks), threshold=None, figures={})


class SkeletonNetworks:
    """The encoders of a model, which share batches where they read clips alike.

    Args:
        networks: The encoders.
        device: Device of the encoders.
    """

    def __init__(self, networks: list[SkeletonNetwork], device: torch.device) -> None:
        self.device = device
        groups: dict[bytes, list[SkeletonNetwork]] = {}
        for network in networks:
            groups.setdefault(network.reading, []).append(network)
        self._groups = [(group, ParallelEncoders(len(group), device)) for group in groups.values()]

    @cached_property
    def body_spread(self) -> tuple[float, float] | None:
        """Bounds of the root mean square distance of joints from their body's middle in training.

        The lower one is that of the mean body, which is small where bodies face all ways; the upper
        one counts how far joints are from their means too, and with it how far people walk. None:
        bodies are scaled to one size, or there is no joint encoder.
        """
        for network in (each for group, _ in self._groups for each in group):
            data = network.config.data
            if network.member == "joint" and not (data.normalise_size or data.normalise_axes):
                mean_vc = network.encoder.input_mean.double()
                square = float((mean_vc - mean_vc.mean(0)).square().sum(1).mean())
                around = mean_vc.shape[1] * float(network.encoder.input_std) ** 2
                return math.sqrt(square), math.sqrt(square + around)
        return None

    @torch.no_grad()
    def logits(
        self, clips: ClipSet, clips_n: Tensor, batch: int | None = None
    ) -> dict[str, Tensor]:
        """Return the logits (N, K) of each network as float32 on the host.

        Args:
            clips: Clips of the networks' layout.
            clips_n: (N,) indices of the clips to score.
            batch: Clips that are scored at a time. Default: as many as in training.
        """
        logits: dict[str, Tensor] = {}
        size = batch or Phase1Trainer.evaluation_batch
        for group, encoders in self._groups:
            reader = BatchReader(clips, group[0].config.data, self.device)
            parts = [_score(group, encoders, reader, part_n) for part_n in clips_n.split(size)]
            for network, *each in zip(group, *parts, strict=True):
                logits[network.name] = torch.cat(each).float().cpu()
        return logits


def load_weights(model: torch.nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """Load the weights of a network. Raises InputError where they do not fit it."""
    try:
        model.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise InputError(
            f"The weights of network {name} do not fit the network that its config describes: "
            f"{str(error).splitlines()[-1].strip()} Export the model again from its run."
        ) from error


def _score(
    group: list[SkeletonNetwork], encoders: ParallelEncoders, reader: BatchReader, clips_n: Tensor
) -> list[Tensor]:
    """Return the logits of one batch by each network of a group."""
    batches = [reader.view(clips_n, view) for view in group[0].views]
    joints = [batch.joints_nctvm.to(group[0].config.optim.dtype) for batch in batches]

    @torch.no_grad()  # which threads do not inherit
    def encode(network: SkeletonNetwork) -> Tensor:
        derive = Derivation(reader.layout, network.config.data.motion_step).to(reader.device)
        return mean_of_views(
            [
                network.encoder.logits(derive(joints_nctvm, network.member), batch.body_rows)
                for joints_nctvm, batch in zip(joints, batches, strict=True)
            ]
        )

    return encoders.map(encode, group)
