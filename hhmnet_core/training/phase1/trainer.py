"""Phase 1 on one process of the mesh.

The loss of a global batch is the sum over modalities of the mean cross-entropy, plus a weight times
the mean over the pairs of modalities (six of all four) of symmetric InfoNCE.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import functional_call

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.inputs.batches import Batch, BatchPlan, BatchReader
from hhmnet_core.inputs.splits import split_of
from hhmnet_core.inputs.views import mean_of_views, scored_views
from hhmnet_core.losses import cross_modal_contrast
from hhmnet_core.models.encoder import Encoded, Encoder
from hhmnet_core.models.registry import build_encoder, encoder_type
from hhmnet_core.notices import watched
from hhmnet_core.skeleton.augment import (
    Change,
    draw_change,
    random_motion_shares,
    random_positions,
)
from hhmnet_core.skeleton.modalities import MODALITIES, Derivation
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.checkpoints import TrainingIdentity
from hhmnet_core.training.flat_optimizer import FlatOptimizer
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.initial_weights import InitialWeights
from hhmnet_core.training.phase1.parallel_encoders import ParallelEncoders
from hhmnet_core.training.phase1.separate_encoders import SeparateEncoders
from hhmnet_core.training.phase1.stacked_encoders import StackedEncoders, is_compiled
from hhmnet_core.training.stream import Stream
from hhmnet_core.training.trainer import BatchShare, Trainer, seeded_initialisation

SHAPES = 5  # numbers of bodies that padded batches have at most; torch compiles for 8 at most


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


@dataclass(frozen=True)
class Phase1Inputs:
    """Inputs of a training step.

    Attributes:
        plan: Where the frames of the share's clips lie.
        change: Augmentation of these clips.
        drops_snd: (N, D) draws of stochastic depth and dropout, by encoder.
        positives_n: (N,) classes of the global batch, whose clips are positives. None: each clip is
            its own.
    """

    plan: BatchPlan
    change: Change
    drops_snd: tuple[Tensor, ...]
    positives_n: Tensor | None


class Phase1Trainer(Trainer[Phase1Config]):
    """Trains and scores the encoders of one process.

    Args:
        config: Config of phase 1.
        clips: Clips of the store.
        mesh: This process among the workers.
        device: Device that it trains on.
        initial: Weights that the encoders start from. None: new ones.
        stacked: Whether the encoders are trained as one (`StackedEncoders`), which changes results
            by rounding alone. None: on GPUs, unless they normalise over the batch.

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
        stacked: bool | None = None,
    ) -> None:
        self.initial = initial
        if mesh.data > 1 and not encoder_type(config.model.name).batch_independent:
            raise InputError(
                f"model.name {config.model.name} normalises over the whole batch, which "
                f"{mesh.data} data-parallel workers would split: use at most {len(MODALITIES)} "
                f"workers, one per modality."
            )
        if config.optim.capture and not encoder_type(config.model.name).batch_independent:
            raise InputError(
                f"optim.capture is true, but model.name {config.model.name} normalises over the "
                "whole batch, of which no step is recorded: set it to false."
            )
        protocol_split = split_of(clips, config.data, config.seed)
        super().__init__(config, clips, protocol_split, mesh, device)
        self.members = mesh.trained
        self.reader = BatchReader(clips, config.data, device, sharers=mesh.sharers)
        self.views = scored_views(config.augment, self.reader.layout)
        self.derive = Derivation(self.reader.layout, config.data.motion_step).to(device)
        encoders = [self._new_encoder(m).to(device, config.optim.dtype) for m in mesh.modalities]
        for encoder, statistics in zip(encoders, self._input_statistics(encoders), strict=True):
            encoder.standardise(*statistics)
        self.compiled = is_compiled(config, device)
        if stacked is None:
            stacked = device.type == "cuda" and encoder_type(config.model.name).batch_independent
        stacked = stacked or self.compiled or config.optim.capture
        self.padding = self.compiled or config.optim.capture
        together = FlatOptimizer(encoders, config.optim) if stacked else None
        self.streams = [
            Stream(modality, encoder, config.optim, together, index if stacked else 0)
            for index, (modality, encoder) in enumerate(zip(mesh.modalities, encoders, strict=True))
        ]
        self.parallel = ParallelEncoders(len(self.streams), device)
        self.encoders: SeparateEncoders | StackedEncoders
        if stacked:
            self.encoders = StackedEncoders(self.streams, self.derive, self.compiled)
        else:
            self.encoders = SeparateEncoders(self.streams, self.derive, self.parallel)

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
    def _input_statistics(self, encoders: Sequence[Encoder]) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return what each encoder is standardised by, measured on the training clips."""
        sums: list[Tensor] = [torch.zeros(()) for _ in encoders]
        count = 0
        batches = torch.from_numpy(self.split.train).split(self.evaluation_batch)
        for clips_n in watched(batches, "measuring the inputs", len(self.split.train), len):
            batch = self.reader.view(clips_n)
            count += len(batch.body_rows) * batch.joints_nctvm.shape[2]
            for index, (encoder, modality) in enumerate(
                zip(encoders, self.mesh.modalities, strict=True)
            ):
                x_nctvm = self.derive(batch.joints_nctvm, modality).double()
                x_rtvc = x_nctvm.permute(0, 4, 2, 3, 1).flatten(0, 1)[batch.body_rows]
                seen_frtvc = torch.cat([x_rtvc[None], encoder.context(x_rtvc)])  # F = 1 + G
                sums_2fvc = torch.stack([seen_frtvc.sum((1, 2)), seen_frtvc.square().sum((1, 2))])
                sums[index] = sums[index] + sums_2fvc.cpu()
        statistics = []
        for sums_2fvc in sums:
            mean_fvc, square_fvc = sums_2fvc / count
            std_f = (square_fvc - mean_fvc.square()).mean((1, 2)).clamp_min(0).sqrt()
            statistics.append((mean_fvc[0], std_f[0], std_f[1:]))
        return statistics

    def inputs(self, share: BatchShare) -> Phase1Inputs:
        config, reader = self.config, self.reader
        clips_n = share.clips_n
        by_class = self._has_contrast and config.contrast.positives == "class"
        inputs = Phase1Inputs(
            reader.plan(clips_n, self._positions(share)),
            draw_change(
                config.augment,
                reader.layout,
                share.random("augment"),
                reader.bone_lengths(clips_n),
            ),
            tuple(
                share.random(f"drop {stream.member}").uniform(stream.model.num_draws)
                for stream in self.streams
            ),
            reader.labels(share.batch_n) if by_class else None,
        )
        return self._padded(inputs) if self.padding else inputs

    def _positions(self, share: BatchShare) -> Tensor:
        """Draw the frame positions (N, T) of a step's clips."""
        config, reader, clips_n = self.config, self.reader, share.clips_n
        positions_nt = random_positions(
            reader.num_frames(clips_n), config.data.frames, config.augment, share.random("crop")
        )
        if not config.data.motion_share and not config.augment.motion_share:
            return positions_nt
        share_n = random_motion_shares(
            config.data.motion_share, config.augment, share.random("motion")
        )
        return reader.motion.frames_at(clips_n, positions_nt, share_n)

    def _padded(self, inputs: Phase1Inputs) -> Phase1Inputs:
        """Return inputs with further clips and bodies, so that few shapes occur."""
        most = self.reader.most_bodies
        largest = -(-len(self.split.train) // self.steps_per_epoch)
        clips = rows = -(-largest // self.mesh.data)
        if most > 1:
            clips += 1  # where further bodies go
            needed = len(inputs.plan.body_rows) - len(inputs.plan.labels_n)
            bucket = max(1, -(-(clips - 1) * (most - 1) // (SHAPES - 1)))
            rows = clips + -(-needed // bucket) * bucket
        return replace(
            inputs,
            plan=inputs.plan.padded(clips, rows, most),
            change=inputs.change.padded(clips),
            drops_snd=tuple(
                torch.cat([drop, drop.new_zeros(clips - len(drop), drop.shape[1])])
                for drop in inputs.drops_snd
            ),
        )

    @property
    def _has_contrast(self) -> bool:
        return bool(self.config.contrast.weight) and len(self.members) > 1

    def backward(self, share: BatchShare, inputs: Phase1Inputs) -> Tensor:
        encoded = self.encoders.encode(self.augmented(inputs), inputs.drops_snd)
        clips, dtype = len(share.clips_n), self.config.optim.dtype
        # Clips beyond those of the share are there for the shape alone.
        logits_snk, embeddings_sne = (each[:, :clips].to(dtype) for each in encoded)
        loss, sums_m3 = self._losses(share, inputs, logits_snk, embeddings_sne)
        self.encoders.backward(loss)
        return sums_m3

    def augmented(self, inputs: Phase1Inputs) -> Batch:
        """Return the augmented clips of a step."""
        batch = self.reader.read(inputs.plan)
        change = inputs.change.apply
        changed = replace(batch, joints_nctvm=change(batch.joints_nctvm))
        scaled = self.reader.scaled(changed, inputs.plan, change)
        return replace(scaled, joints_nctvm=scaled.joints_nctvm.to(self.config.optim.dtype))

    def _losses(
        self,
        share: BatchShare,
        inputs: Phase1Inputs,
        logits_snk: Tensor,
        embeddings_sne: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the loss of the global batch, and the share's sums (M, 3) by encoder."""
        config, total = self.config, share.total
        labels_sn = inputs.plan.labels_n[: logits_snk.shape[1]].expand(logits_snk.shape[:2])
        losses_s = self.cross_entropy(logits_snk, labels_sn).sum(1)
        corrects_s = (logits_snk.argmax(2) == labels_sn).sum(1)
        loss = losses_s.sum() / total
        contrast = torch.zeros(len(self.streams), device=self.device)
        if self._has_contrast:
            contrast_s = self._contrast(embeddings_sne, share, inputs.positives_n)
            loss = loss + config.contrast.weight * contrast_s.mean()
            if self.mesh.data_rank == 0:  # equal on all of them; counted once
                hosted = slice(None) if len(contrast_s) == len(self.streams) else self.mesh.hosted
                contrast = contrast_s[hosted].detach() * total
        return loss, torch.stack([losses_s.detach(), corrects_s, contrast], 1)

    def _contrast(
        self, embeddings_sne: Tensor, share: BatchShare, positives_n: Tensor | None
    ) -> Tensor:
        """Return each modality's mean InfoNCE with the others over the global batch, (4,)."""
        everyone_sne = self.mesh.gather(embeddings_sne, share.total)
        pairs_ss = cross_modal_contrast(everyone_sne, positives_n)
        return pairs_ss.sum(1) / max(1, len(pairs_ss) - 1)

    def update(self, rate: float | Tensor, weight: float | Tensor) -> None:
        self.parallel.map(lambda each: each.update(rate, weight), self.optimizers)

    def sum_over_mesh(self, steps: list[Tensor]) -> Tensor:
        return self.mesh.sum_by_modality(torch.stack(steps, 1)).transpose(0, 1)

    def score(self, clips_n: Tensor, best: bool) -> Tensor:
        batches = [self.reader.view(clips_n, view) for view in self.views]
        joints = [batch.joints_nctvm.to(self.config.optim.dtype) for batch in batches]

        @torch.no_grad()  # which threads do not inherit
        def logits(stream: Stream[Encoder]) -> Tensor:
            stream.model.eval()
            weights, of_views = stream.weights(best), []
            for joints_nctvm, batch in zip(joints, batches, strict=True):
                x_nctvm = self.derive(joints_nctvm, stream.member)
                encoded: Encoded = functional_call(
                    stream.model, weights, (x_nctvm, batch.body_rows)
                )
                of_views.append(encoded.logits_nk)
            return mean_of_views(of_views)

        return torch.stack(self.parallel.map(logits, self.streams))

    def tables(self, split: str, best: bool = False) -> list[ScoreTable]:
        """Return the score table of each modality and of their fusion with equal weights."""
        tables = super().tables(split, best)
        return [*tables, fuse(tables)] if tables else []
