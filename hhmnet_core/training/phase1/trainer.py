"""Phase 1 on one process of the mesh.

The loss of a global batch is the sum over modalities of the mean cross-entropy, plus a weight times
the mean over the pairs of modalities (six of all four) of symmetric InfoNCE.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.inputs.batches import Batch, BatchReader
from hhmnet_core.inputs.splits import split_of
from hhmnet_core.losses import cross_modal_contrast
from hhmnet_core.models.encoder import Encoded, Encoder
from hhmnet_core.models.registry import build_encoder, encoder_type
from hhmnet_core.skeleton.augment import augment, random_positions
from hhmnet_core.skeleton.modalities import MODALITIES, derive
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.checkpoints import TrainingIdentity
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.initial_weights import InitialWeights
from hhmnet_core.training.phase1.parallel_encoders import ParallelEncoders
from hhmnet_core.training.stream import Stream
from hhmnet_core.training.trainer import BatchShare, Trainer, seeded_initialisation


def make_encoder(config: Phase1Config, modality: str, clips: ClipSet) -> Encoder:
    """Return a new encoder, initialised from (seed, modality) alone."""
    with seeded_initialisation(config.seed, modality):
        return build_encoder(
            config.model,
            clips.manifest.skeleton,
            len(clips.manifest.class_names),
            config.contrast.temperature,
            config.contrast.learn_temperature,
        )


class Phase1Trainer(Trainer[Phase1Config]):
    """Trains and scores the encoders of one process.

    Args:
        config: Config of phase 1.
        clips: Clips of the store.
        mesh: This process among the workers.
        device: Device that it trains on.
        initial: Weights that the encoders start from. None: new ones.

    Raises InputError where config, clips, mesh and initial weights do not fit each other.
    """

    phase = "phase1"
    members = MODALITIES
    evaluation_batch = 256
    streams: Sequence[Stream[Encoder]]

    def __init__(
        self,
        config: Phase1Config,
        clips: ClipSet,
        mesh: Mesh,
        device: torch.device,
        initial: InitialWeights | None = None,
    ) -> None:
        self.initial = initial
        if mesh.data > 1 and not encoder_type(config.model.name).batch_independent:
            raise InputError(
                f"model.name {config.model.name} normalises over the whole batch, which "
                f"{mesh.data} data-parallel workers would split: use at most {len(MODALITIES)} "
                f"workers, one per modality."
            )
        protocol_split = split_of(clips, config.data, config.seed)
        super().__init__(config, clips, protocol_split, mesh, device)
        self.members = mesh.trained
        self.reader = BatchReader(clips, config.data, device, sharers=mesh.sharers)
        self.streams = [
            Stream(m, self._new_encoder(m).to(device, config.optim.dtype), config.optim)
            for m in mesh.modalities
        ]
        self.encoders = ParallelEncoders(len(self.streams), device)
        for stream in self.streams:
            stream.model.standardise(*self._input_statistics(stream.member))

    @property
    def identity(self) -> TrainingIdentity:
        digest = self.initial.digest if self.initial else None
        return TrainingIdentity(self.phase, self.config, self.clips.skeletons, digest)

    def _new_encoder(self, modality: str) -> Encoder:
        encoder = make_encoder(self.config, modality, self.clips)
        if self.initial:
            self.initial.load(encoder, modality)
        return encoder

    @torch.no_grad()
    def _input_statistics(self, modality: str) -> tuple[Tensor, Tensor]:
        """Return the mean (V, C) of a modality over the training clips, and its deviation ()."""
        layout = self.reader.layout
        sums = torch.zeros(2, layout.num_joints, layout.channels, dtype=torch.float64)
        count = 0
        for clips_n in torch.from_numpy(self.split.train).split(self.evaluation_batch):
            batch = self.reader.whole(clips_n)
            x_nctvm = self._derive(batch.joints_nctvm, modality).double()
            x_rtvc = x_nctvm.permute(0, 4, 2, 3, 1).flatten(0, 1)[batch.body_rows]
            sums += torch.stack([x_rtvc.sum((0, 1)), x_rtvc.square().sum((0, 1))]).cpu()
            count += x_rtvc.shape[0] * x_rtvc.shape[1]
        mean_vc, square_vc = sums / count
        return mean_vc, (square_vc - mean_vc.square()).mean().clamp_min(0).sqrt()

    def _derive(self, joints_nctvm: Tensor, modality: str) -> Tensor:
        step = self.config.data.motion_step
        return derive(joints_nctvm, modality, self.reader.layout, step)

    def backward(self, share: BatchShare) -> Tensor:
        batch = self._augmented(share)

        def encode(stream: Stream[Encoder]) -> tuple[Tensor, Tensor]:
            stream.model.train()
            x_nctvm = self._derive(batch.joints_nctvm, stream.member)
            draws = share.random(f"drop {stream.member}").uniform(stream.model.num_draws)
            encoded = stream.model(x_nctvm, batch.body_rows, draws)
            return encoded.logits_nk, encoded.embedding_ne

        outputs = self.encoders.map(encode, self.streams)
        # The loss ties the encoders together: it is differentiated first, on its own.
        logits, embeddings = (
            [output.detach().requires_grad_() for output in each]
            for each in zip(*outputs, strict=True)
        )
        losses, sums_m3 = self._losses(share, batch.labels_n, logits, embeddings)
        losses.backward()

        def propagate(index: int) -> None:
            output, embedding = outputs[index]
            gradient = embeddings[index].grad
            if gradient is None:  # the loss has no contrast
                torch.autograd.backward([output], [logits[index].grad])
            else:
                torch.autograd.backward([output, embedding], [logits[index].grad, gradient])

        self.encoders.map(propagate, range(len(outputs)))
        return sums_m3

    def _augmented(self, share: BatchShare) -> Batch:
        config, layout = self.config, self.reader.layout
        lengths = self.reader.num_frames(share.clips_n)
        crop = share.random("crop")
        positions = random_positions(lengths, config.data.frames, config.augment, crop)
        batch = self.reader.batch(share.clips_n, positions)

        def change(joints_nctvm: Tensor) -> Tensor:
            return augment(joints_nctvm, config.augment, layout, share.random("augment"))

        changed = replace(batch, joints_nctvm=change(batch.joints_nctvm))
        scaled = self.reader.scaled(changed, share.clips_n, change)
        return replace(scaled, joints_nctvm=scaled.joints_nctvm.to(config.optim.dtype))

    def _losses(
        self, share: BatchShare, labels_n: Tensor, logits: list[Tensor], embeddings: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of the global batch, and the share's sums (M, 3) by encoder."""
        config, total = self.config, share.total
        losses = [
            F.cross_entropy(
                logits_nk,
                labels_n,
                reduction="sum",
                label_smoothing=config.optim.label_smoothing,
            )
            for logits_nk in logits
        ]
        corrects = [(logits_nk.argmax(1) == labels_n).sum() for logits_nk in logits]
        loss = torch.stack(losses).sum() / total
        contrast = torch.zeros(len(self.streams), device=self.device)
        if config.contrast.weight and len(self.members) > 1:
            contrast_s = self._contrast(torch.stack(embeddings), share.batch_n)
            loss = loss + config.contrast.weight * contrast_s.mean()
            if self.mesh.data_rank == 0:  # equal on all of them; counted once
                hosted = slice(None) if len(contrast_s) == len(self.streams) else self.mesh.hosted
                contrast = contrast_s[hosted].detach() * total
        return loss, torch.stack([torch.stack(losses).detach(), torch.stack(corrects), contrast], 1)

    def _contrast(self, embeddings_sne: Tensor, batch_n: Tensor) -> Tensor:
        """Return each modality's mean InfoNCE with the others over the global batch, (4,)."""
        by_class = self.config.contrast.positives == "class"
        labels = self.reader.labels(batch_n) if by_class else None
        pairs_ss = cross_modal_contrast(self.mesh.gather(embeddings_sne, len(batch_n)), labels)
        return pairs_ss.sum(1) / max(1, len(pairs_ss) - 1)

    def update_streams(self, rate: float, step: int) -> None:
        self.encoders.map(lambda stream: stream.update(rate, step), self.streams)

    def sum_over_mesh(self, steps: list[Tensor]) -> Tensor:
        return self.mesh.sum_by_modality(torch.stack(steps, 1)).transpose(0, 1)

    def score(self, clips_n: Tensor, best: bool) -> Tensor:
        batch = self.reader.whole(clips_n)
        joints = batch.joints_nctvm.to(self.config.optim.dtype)

        @torch.no_grad()  # which threads do not inherit
        def logits(stream: Stream[Encoder]) -> Tensor:
            stream.model.eval()
            x_nctvm = self._derive(joints, stream.member)
            encoded: Encoded = functional_call(
                stream.model, stream.weights(best), (x_nctvm, batch.body_rows)
            )
            return encoded.logits_nk

        return torch.stack(self.encoders.map(logits, self.streams))

    def tables(self, split: str, best: bool = False) -> list[ScoreTable]:
        """Return the score table of each modality and of their fusion with equal weights."""
        tables = super().tables(split, best)
        return [*tables, fuse(tables)] if tables else []
