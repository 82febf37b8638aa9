"""Phase 2 on one process of the mesh: the video network under the guidance of the skeleton.

The loss of a global batch is the mean cross-entropy plus a weight times the part contrast over all
of its clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from hhmnet_core.fusion.scores import VIDEO
from hhmnet_core.inputs.footage import Footage, FootageReader, check_enough_filmed, keep_filmed
from hhmnet_core.inputs.splits import split_of
from hhmnet_core.inputs.transfer import to_device
from hhmnet_core.inputs.video_augment import VideoChange, draw_video_change
from hhmnet_core.losses import part_contrast
from hhmnet_core.models.heat_maps import heat_map, joint_gaussians
from hhmnet_core.models.precision import arithmetic
from hhmnet_core.models.video import GuidedVideo, VideoEncoded, VideoNetwork
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.checkpoints import TrainingIdentity
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.guidance_inputs import GuidanceInputs, visible_parts
from hhmnet_core.training.records import Metrics
from hhmnet_core.training.stream import Stream
from hhmnet_core.training.trainer import BatchShare, Trainer, seeded_initialisation


@dataclass(frozen=True)
class Phase2Inputs:
    """Inputs of a training step, of the share's clips.

    Attributes:
        images: Plan of the images, see `FootageReader.plan`.
        joints_nmfv2: (N, M, F, V, 2) joints in the images.
        change: Augmentation.
        importance_nmfv: (N, M, F, V) importance of the joints. None: no guidance.
        tokens_npc: (N, P, C) features of the parts.
        drop_nd: (N, D) draws of dropout.
        labels_n: (N,) classes.
    """

    images: Tensor
    joints_nmfv2: Tensor
    change: VideoChange
    importance_nmfv: Tensor | None
    tokens_npc: Tensor
    drop_nd: Tensor
    labels_n: Tensor


class Phase2Trainer(Trainer[Phase2Config]):
    """Trains and scores the video network on one process.

    Args:
        config: Config of phase 2.
        clips: Clips of the store.
        footage: Videos of the clips.
        guide: Frozen encoder that guides.
        mesh: This process among the workers, not split by modality.
        device: Device that it trains on.

    Attributes:
        split: Clips of the protocol that have a video.

    Raises InputError where config, clips and mesh do not fit each other.
    """

    phase = "phase2"
    members = (VIDEO,)
    evaluation_batch = 32
    streams: Sequence[Stream[GuidedVideo]]

    def __init__(
        self,
        config: Phase2Config,
        clips: ClipSet,
        footage: Footage,
        guide: FrozenEncoder,
        mesh: Mesh,
        device: torch.device,
    ) -> None:
        protocol_split = split_of(clips, config.data, config.seed)
        filmed = keep_filmed(protocol_split, footage)
        check_enough_filmed(filmed, config.data.selection)
        super().__init__(config, clips, filmed, mesh, device)
        # The guide, whose scores are fused with these, was trained on clips without a video too.
        self.known_split = protocol_split
        self.guide, self.layout = guide, clips.manifest.skeleton
        self.reader = FootageReader(footage, device, sharers=mesh.sharers)
        self.labels = torch.from_numpy(clips.labels.copy())
        self.joints = torch.from_numpy(footage.joints_nmfv2)
        self.guidance = GuidanceInputs(config, clips, footage, guide, device)
        visual = footage.visual
        with seeded_initialisation(config.seed, VIDEO):
            network = VideoNetwork(
                config.video, visual.frames, visual.size, len(clips.manifest.class_names)
            )
            model = GuidedVideo(network, self.guidance.width)
        self.grid = network.grid_shape
        self.stream = Stream(VIDEO, model.to(device, config.optim.dtype), config.optim)
        self.streams = [self.stream]

    @property
    def identity(self) -> TrainingIdentity:
        digest = self.clips.manifest.digest
        return TrainingIdentity(self.phase, self.config, digest, self.guide.digest)

    def inputs(self, share: BatchShare) -> Phase2Inputs:
        clips_n = share.clips_n
        change = draw_video_change(self.config.augment, self.layout, share.random("augment"))
        return Phase2Inputs(
            self.reader.plan(clips_n),
            self.joints[clips_n],
            change,
            self.guidance.importance(clips_n, change.mirrored_n),
            self.guidance.tokens(clips_n, change.mirrored_n),
            share.random("drop").uniform(self.stream.model.network.num_draws),
            self.labels[clips_n],
        )

    def backward(self, share: BatchShare, inputs: Phase2Inputs) -> Tensor:
        config, labels_n = self.config, inputs.labels_n
        batch = inputs.change.apply(self.reader.read(inputs.images), inputs.joints_nmfv2)
        heat, masks = self._guidance(batch.joints_nmfv2, inputs.importance_nmfv)
        model = self.stream.model
        model.train()
        images_nfchw = batch.images_nfchw.to(config.optim.dtype)
        with arithmetic(config.optim.precision, self.device):
            encoded = model(images_nfchw, heat, masks, inputs.drop_nd)
        logits_nk = encoded.logits_nk.to(config.optim.dtype)
        cross_entropy = self.cross_entropy(logits_nk, labels_n).sum()
        loss = cross_entropy / share.total
        contrast = loss.new_zeros(())
        if masks is not None:
            contrast = self._contrast(encoded, masks, inputs.tokens_npc, share.total)
            loss = loss + config.parts.weight * contrast
        loss.backward()
        correct = (logits_nk.argmax(1) == labels_n).sum()
        counted = share.total if self.mesh.data_rank == 0 else 0  # equal on all; counted once
        return torch.stack([cross_entropy.detach(), correct, contrast.detach() * counted])[None]

    def _guidance(
        self, joints_nmfv2: Tensor, importance_nmfv: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return the heat map (N, T', H', W') and the masks (N, P, T', H', W'), as configured."""
        gaussians, dtype = joint_gaussians(joints_nmfv2, self.grid), self.config.optim.dtype
        masks = self.guidance.masks(gaussians)
        return (
            None if importance_nmfv is None else heat_map(importance_nmfv, gaussians).to(dtype),
            None if masks is None else masks.to(dtype),
        )

    def _contrast(
        self, encoded: VideoEncoded, masks_npthw: Tensor, tokens_npc: Tensor, total: int
    ) -> Tensor:
        """Return the part contrast over the global batch, equal on all processes."""
        known = self.stream.model.project_parts(tokens_npc)
        assert encoded.parts_npe is not None
        visible = visible_parts(masks_npthw, tokens_npc).to(known)[..., None]
        seen, known, visible = (
            self.mesh.gather(each.transpose(0, 1).contiguous(), total).transpose(0, 1)
            for each in (encoded.parts_npe.to(known), known, visible)
        )
        return part_contrast(seen, known, visible[..., 0] > 0.5, self.config.parts.temperature)

    def sum_over_mesh(self, steps: list[Tensor]) -> Tensor:
        sums = torch.stack(steps)
        self.mesh.sum_over_data([sums])
        return sums

    def train_metrics(self, epoch: int, sums_m3: Tensor) -> Metrics:
        """Return the training metrics of an epoch, with the strength of the guidance."""
        metrics = super().train_metrics(epoch, sums_m3)
        strength = self.stream.model.network.strength.detach()
        metrics[VIDEO]["train/guidance"] = float(strength)
        return metrics

    def score(self, clips_n: Tensor, best: bool) -> Tensor:
        return self._encode(clips_n, best)[0].logits_nk[None]

    def _encode(self, clips_n: Tensor, best: bool) -> tuple[VideoEncoded, Tensor | None]:
        """Return the encoding of clips without augmentation, and the masks of their parts."""
        model, dtype = self.stream.model, self.config.optim.dtype
        model.eval()
        planned = (self.reader.plan(clips_n), self.joints[clips_n])
        importance = self.guidance.importance(clips_n)
        images, joints, importance = to_device((*planned, importance), self.device)
        heat, masks = self._guidance(joints, importance)
        read = self.reader.read(images).to(dtype) / 255
        encoded: VideoEncoded = functional_call(
            model, self.stream.weights(best), (read, heat, masks)
        )
        return encoded, masks

    @torch.no_grad()
    def final_metrics(self) -> Metrics:
        """Return the mean cosine between parts in the video and parts of the skeleton, over test.

        Each value is named by the part in the video and that of the same clip's skeleton, and
        covers the clips in which both are visible. There are none where parts are not trained one
        by one.
        """
        if self.config.parts.mode != "parts" or not self.config.parts.weight:
            return {}
        everyone_n = torch.from_numpy(self.split.test)
        sums = torch.zeros(2, len(PARTS), len(PARTS), dtype=torch.float64, device=self.device)
        for clips_n in everyone_n[self.mesh.rows(len(everyone_n))].split(self.evaluation_batch):
            if len(clips_n):  # with more workers than clips, a share is one empty batch
                sums += self._part_cosines(clips_n)
        self.mesh.sum_over_data([sums])
        cosine_pp, clips_pp = sums.tolist()
        return {
            VIDEO: {
                f"similarity/{seen}/{known}": cosine_pp[i][j] / clips_pp[i][j]
                for i, seen in enumerate(PARTS)
                for j, known in enumerate(PARTS)
                if clips_pp[i][j]
            }
        }

    def _part_cosines(self, clips_n: Tensor) -> Tensor:
        """Return (2, P, P): sums of cosines over clips, and numbers of clips, by pair of parts."""
        encoded, masks = self._encode(clips_n, best=True)
        tokens = self.guidance.tokens(clips_n).to(self.device)
        projector = {
            name.removeprefix("projector."): weight
            for name, weight in self.stream.weights(best=True).items()
            if name.startswith("projector.")
        }
        known = F.normalize(functional_call(self.stream.model.projector, projector, tokens), dim=-1)
        assert encoded.parts_npe is not None and masks is not None
        visible = visible_parts(masks, tokens).double()
        cosine_npp = torch.einsum("npe,nqe->npq", encoded.parts_npe, known).double()
        both_npp = visible[:, :, None] * visible[:, None]
        return torch.stack([(cosine_npp * both_npp).sum(0), both_npp.sum(0)])
