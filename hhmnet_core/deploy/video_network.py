"""Logits of the video network of a model, under the guidance of one of its skeleton encoders.

Shapes: N clips, K classes.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hhmnet_core.deploy.description import NetworkDescription
from hhmnet_core.deploy.frozen_layers import freeze_layers
from hhmnet_core.deploy.skeleton_networks import SkeletonNetwork, load_weights
from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.inputs.footage import Footage, FootageReader
from hhmnet_core.inputs.transfer import to_device
from hhmnet_core.models.heat_maps import heat_map, joint_gaussians
from hhmnet_core.models.precision import set_float32_products
from hhmnet_core.models.video import VideoEncoded, VideoNetwork
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.manifest import Visual
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.guidance_inputs import GuidanceInputs
from hhmnet_core.training.phase2.trainer import Phase2Trainer


@dataclass(frozen=True)
class GuidedVideoNetwork:
    """A video network of a model.

    Attributes:
        name: Name in the model.
        config: Config of phase 2, without the location of its data.
        visual: Images that it reads.
        network: The network, in evaluation mode.
        guide: Encoder that guides it, in single precision.
    """

    name: str
    config: Phase2Config
    visual: Visual
    network: VideoNetwork
    guide: SkeletonNetwork

    @classmethod
    def build(
        cls,
        described: NetworkDescription,
        weights: Mapping[str, Tensor],
        guide: SkeletonNetwork,
        num_classes: int,
        device: torch.device,
    ) -> "GuidedVideoNetwork":
        """Build a video network and load its weights.

        Raises:
            InputError: A config of another version, or weights that do not fit it.
        """
        config, visual = from_json(Phase2Config, described.config), described.visual
        assert visual is not None
        network = VideoNetwork(
            config.video, visual.frames, visual.size, num_classes, described.backbone
        )
        load_weights(network, weights, described.name)
        freeze_layers(network)
        network.to(device, config.optim.dtype).eval().requires_grad_(False)
        set_float32_products(config.optim.precision, device)
        # A copy: the encoder itself may score in double precision.
        single = replace(guide, encoder=copy.deepcopy(guide.encoder).to(torch.float32))
        return cls(described.name, config, visual, network, single)

    @torch.no_grad()
    def logits(
        self,
        clips: ClipSet,
        footage: Footage,
        clips_n: Tensor,
        device: torch.device,
        batch: int | None = None,
    ) -> Tensor:
        """Return the logits (N, K) as float32 on the host.

        Args:
            clips: Clips of the guide's layout.
            footage: Their videos.
            clips_n: (N,) indices of the clips to score.
            device: Device of the network.
            batch: Clips that are scored at a time. Default: as many as in training.

        Raises:
            InputError: A clip without a video, or videos of another format.
        """
        self._check(clips, footage, clips_n)
        guide = FrozenEncoder(
            self.guide.encoder, self.guide.config, self.guide.member, clips, device
        )
        # Mirrored clips are for training.
        config = replace(self.config, augment=replace(self.config.augment, mirror=0.0))
        guidance = GuidanceInputs(config, clips, footage, guide, device)
        reader = FootageReader(footage, device)
        joints_nmfv2, dtype = torch.from_numpy(footage.joints_nmfv2), config.optim.dtype
        logits = []
        for part_n in clips_n.split(batch or Phase2Trainer.evaluation_batch):
            planned = (reader.plan(part_n), joints_nmfv2[part_n], guidance.importance(part_n))
            images, joints, importance = to_device(planned, device)
            heat = None
            if importance is not None:
                gaussians = joint_gaussians(joints, self.network.grid_shape)
                heat = heat_map(importance, gaussians).to(dtype)
            encoded: VideoEncoded = self.network(reader.read(images).to(dtype) / 255, heat)
            logits.append(encoded.logits_nk.float().cpu())
        return torch.cat(logits)

    def _check(self, clips: ClipSet, footage: Footage, clips_n: Tensor) -> None:
        indices = clips_n.numpy()
        unfilmed = indices[~footage.has_video_n[indices]]
        if len(unfilmed):
            raise InputError(
                f"{len(unfilmed)} of {len(indices)} clips have no video, such as "
                f"{clips.sample_ids[unfilmed[0]]}, which the network {self.name} reads: give their "
                "videos, or use the skeleton encoders alone (--without_video true)."
            )
        found, read = footage.visual, self.visual
        if (found.stream, found.frames, found.size) != (read.stream, read.frames, read.size):
            raise InputError(
                f"The videos are {found.frames} {found.stream} images of {found.size} pixels a "
                f"clip, but the network {self.name} reads {read.frames} {read.stream} images of "
                f"{read.size}: prepare them in that format, or use the skeleton encoders alone "
                "(--without_video true)."
            )
