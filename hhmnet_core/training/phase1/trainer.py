"""The pieces of phase 1 on one process of the mesh: steps, validation, scores, checkpoints.

The loss of a global batch is the sum over modalities of the cross-entropy, plus a weight times the
mean over the six pairs of modalities of symmetric InfoNCE. It is computed so that every layout of
the mesh computes the same one.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.copies import copies_of_training
from hhmnet_core.inputs.order import epoch_order, smallest_batch
from hhmnet_core.losses import cross_modal_contrast
from hhmnet_core.models.encoder import Encoded, Encoder
from hhmnet_core.models.registry import build_encoder
from hhmnet_core.randomness import BatchRandom, keyed_generator
from hhmnet_core.skeleton.augment import augment, random_positions
from hhmnet_core.skeleton.modalities import MODALITIES, derive
from hhmnet_core.store.clips import Int64Array
from hhmnet_core.store.protocols import Split, split
from hhmnet_core.store.reading import ClipSet
from hhmnet_core.training.evaluation import choose, score_table, table_metrics
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import check_converging, learning_rate
from hhmnet_core.training.phase1.config import Phase1Config, comparable
from hhmnet_core.training.phase1.parallel_encoders import ParallelEncoders
from hhmnet_core.training.records import EpochRecord, Metrics, Progress
from hhmnet_core.training.reports import TrainingState, read_summary, summarise
from hhmnet_core.training.stream import Stream

EVALUATION_BATCH = 256


def make_encoder(config: Phase1Config, modality: str, clips: ClipSet) -> Encoder:
    """A new encoder, initialised from (seed, modality) alone."""
    layout = clips.manifest.skeleton
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(keyed_generator(config.seed, modality).get_state())
        return build_encoder(
            config.model,
            layout,
            len(clips.manifest.class_names),
            config.contrast.temperature,
            config.contrast.learn_temperature,
        )


class Phase1Trainer:
    """Holds the streams of one process, and trains and scores them."""

    def __init__(
        self, config: Phase1Config, clips: ClipSet, mesh: Mesh, device: torch.device
    ) -> None:
        self.config, self.clips, self.mesh, self.device = config, clips, mesh, device
        self.split: Split = split(clips, config.data.protocol, config.data.selection)
        self.reader = BatchReader(clips, config.data, device, sharers=mesh.sharers)
        self.streams = [
            Stream(m, make_encoder(config, m, clips).to(device, config.optim.dtype), config.optim)
            for m in mesh.modalities
        ]
        self.together = ParallelEncoders(len(self.streams), device)
        for stream in self.streams:
            stream.model.standardise(*self._input_statistics(stream.modality))
        if mesh.data > 1 and config.model.name != "stst":
            raise InputError(
                f"model.name {config.model.name} normalises over the whole batch, which "
                f"{mesh.data} data-parallel workers would split: use at most {len(MODALITIES)} "
                f"workers, one a modality."
            )
        smallest = smallest_batch(len(self.split.train), config.optim.batch)
        if smallest < mesh.data:
            raise InputError(
                f"A batch of {smallest} clips cannot be split over {mesh.data} data-parallel "
                f"workers: raise optim.batch ({config.optim.batch}) or use fewer workers."
            )

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.split.train) // self.config.optim.batch)

    def epoch_order(self, epoch: int) -> list[Tensor]:
        """The epoch's global batches as clip indices."""
        return epoch_order(self.split.train, self.config.optim.batch, self.config.seed, epoch)

    @torch.no_grad()
    def _input_statistics(self, modality: str) -> tuple[Tensor, Tensor]:
        """Over the training clips: the mean (V, C) of a modality, and its deviation, a scalar."""
        layout = self.reader.layout
        sums = torch.zeros(2, layout.num_joints, layout.channels, dtype=torch.float64)
        count = 0
        for clips_n in torch.from_numpy(self.split.train).split(EVALUATION_BATCH):
            batch = self.reader.whole(clips_n)
            x_nctvm = derive(batch.joints_nctvm, modality, layout).double()
            x_rtvc = x_nctvm.permute(0, 4, 2, 3, 1).flatten(0, 1)[batch.body_rows]
            sums += torch.stack([x_rtvc.sum((0, 1)), x_rtvc.square().sum((0, 1))]).cpu()
            count += x_rtvc.shape[0] * x_rtvc.shape[1]
        mean_vc, square_vc = sums / count
        return mean_vc, (square_vc - mean_vc.square()).mean().clamp_min(0).sqrt()

    def summed(self, steps: list[Tensor]) -> Tensor:
        """What steps gave, over all processes: (steps, 4, 3)."""
        return self.mesh.sum_by_modality(torch.stack(steps, 1)).transpose(0, 1)

    def train_metrics(self, epoch: int, sums: Tensor) -> Metrics:
        """Of an epoch, from the sums (4, 3) over its steps."""
        means_m3 = sums / len(self.split.train)
        check_converging(
            means_m3, f"losses {means_m3[:, 0].tolist()} in epoch {epoch}", self.config.optim
        )
        rate = learning_rate(
            self.config.optim, epoch * self.steps_per_epoch - 1, self.steps_per_epoch
        )
        return {
            modality: {
                "train/loss": loss,
                "train/contrast": contrast,
                "train/top1": correct,
                "train/lr": rate,
            }
            for modality, (loss, correct, contrast) in zip(
                MODALITIES, means_m3.tolist(), strict=False
            )
        }

    def train_step(self, epoch: int, step: int, clips_n: Tensor) -> Tensor:
        """One step on a global batch of clip indices: (4 / P, 3) loss, correct, contrast sums."""
        config, total = self.config, len(clips_n)
        mine = self.mesh.rows(total)

        def random(purpose: str) -> BatchRandom:
            key = (config.seed, epoch, step, purpose)
            return BatchRandom(
                *key, total=total, start=mine.start, stop=mine.stop, device=self.device
            )

        own = clips_n[mine]
        lengths = self.reader.num_frames(own)
        positions = random_positions(lengths, config.data.frames, config.augment, random("crop"))
        batch = self.reader.batch(own, positions)
        joints = augment(batch.joints_nctvm, config.augment, self.reader.layout, random("augment"))
        joints = self.reader.finished(joints, batch.body_rows).to(config.optim.dtype)

        def encode(stream: Stream[Encoder]) -> tuple[Tensor, Tensor]:
            stream.model.train()
            x_nctvm = derive(joints, stream.modality, self.reader.layout)
            draws = random(f"drop {stream.modality}").uniform(stream.model.num_draws)
            encoded = stream.model(x_nctvm, batch.body_rows, draws)
            return encoded.logits_nk, encoded.embedding_ne

        outputs = self.together.map(encode, self.streams)
        # The loss ties the encoders together: it is differentiated first, on its own.
        logits, embeddings = (
            [output.detach().requires_grad_() for output in each]
            for each in zip(*outputs, strict=True)
        )
        losses = [
            F.cross_entropy(
                logits_nk,
                batch.labels_n,
                reduction="sum",
                label_smoothing=config.optim.label_smoothing,
            )
            for logits_nk in logits
        ]
        corrects = [(logits_nk.argmax(1) == batch.labels_n).sum() for logits_nk in logits]
        loss = torch.stack(losses).sum() / total
        contrast = torch.zeros(len(self.streams), device=self.device)
        if config.contrast.weight:
            contrast_s = self._contrast(torch.stack(embeddings), clips_n)
            loss = loss + config.contrast.weight * contrast_s.mean()
            if self.mesh.data_rank == 0:  # the same on all of them; counted once
                hosted = slice(None) if len(contrast_s) == len(self.streams) else self.mesh.hosted
                contrast = contrast_s[hosted].detach() * total
        loss.backward()

        def propagate(at: int) -> None:
            output, embedding = outputs[at]
            if embeddings[at].grad is None:  # without contrast nobody asks for them
                torch.autograd.backward([output], [logits[at].grad])
            else:
                torch.autograd.backward([output, embedding], [logits[at].grad, embeddings[at].grad])

        self.together.map(propagate, range(len(outputs)))
        self.mesh.sum_over_data([g for stream in self.streams for g in stream.gradients()])
        done = (epoch - 1) * self.steps_per_epoch + step
        rate = learning_rate(config.optim, done, self.steps_per_epoch)
        self.together.map(lambda stream: stream.update(rate, done), self.streams)
        return torch.stack(
            [torch.stack(losses).detach(), torch.stack(corrects), contrast], 1
        ).double()

    def _contrast(self, embeddings_sne: Tensor, clips_n: Tensor) -> Tensor:
        """(4,) each modality's mean InfoNCE with the others, over the global batch."""
        by_class = self.config.contrast.positives == "class"
        labels = self.reader.labels(clips_n) if by_class else None
        pairs_ss = cross_modal_contrast(self.mesh.gather(embeddings_sne, len(clips_n)), labels)
        return pairs_ss.sum(1) / max(1, len(pairs_ss) - 1)

    def validate(self, epoch: int, metrics: Metrics, history: list[EpochRecord]) -> None:
        """Adds the val metrics, and keeps the weights of a stream's best epoch so far."""
        if not len(self.split.val):
            return
        tables = self._tables(self.logits(self.split.val), "val", self.split.val)
        for table in tables:
            metrics.setdefault(table.modality, {}).update(table_metrics(table))
        before = history[-1].metrics if history else {}
        for name in MODALITIES[: len(tables) - 1]:  # the fusion takes what each of them chose
            if choose(metrics[name], before.get(name, {}), epoch, self.config.data.selection):
                for stream in self.streams:
                    if stream.modality == name:
                        stream.keep_best()

    def final_metrics(self) -> Metrics:
        """Nothing: the scores say it all."""
        return {}

    def final_scores(self) -> list[ScoreTable]:
        """Tables of val and test, each modality with its best epoch's weights where val chose."""
        tables = []
        for name, indices in (("val", self.split.val), ("test", self.split.test)):
            if len(indices):
                tables += self._tables(self.logits(indices, best=True), name, indices)
        return tables

    def logits(self, indices: np.ndarray, best: bool = False) -> Tensor:
        """(4, len(indices), K) float32 on the host, from the evaluated or the best weights."""
        everyone = torch.from_numpy(indices)
        own = everyone[self.mesh.rows(len(everyone))]
        classes = len(self.clips.manifest.class_names)
        local = torch.zeros(len(self.streams), len(own), classes, device=self.device)
        for start in range(0, len(own), EVALUATION_BATCH):
            batch = self.reader.whole(own[start : start + EVALUATION_BATCH])
            joints = batch.joints_nctvm.to(self.config.optim.dtype)

            @torch.no_grad()
            def score(
                stream: Stream[Encoder],
                joints: Tensor = joints,
                body_rows: Tensor = batch.body_rows,
            ) -> Tensor:
                stream.model.eval()
                weights = (stream.best if best else {}) or stream.evaluated
                x_nctvm = derive(joints, stream.modality, self.reader.layout)
                encoded: Encoded = functional_call(stream.model, weights, (x_nctvm, body_rows))
                return encoded.logits_nk

            scored = self.together.map(score, self.streams)
            local[:, start : start + len(scored[0])] = torch.stack(scored)
        return self.mesh.gather(local, len(everyone)).cpu()

    @cached_property
    def _copies(self) -> Int64Array:
        return copies_of_training(self.clips, self.split)

    def _tables(self, logits_snk: Tensor, part: str, indices: Int64Array) -> list[ScoreTable]:
        """A table a modality, and their equal-weight fusion."""
        check_converging(logits_snk, f"logits of {part} are not finite", self.config.optim)
        tables = [
            score_table(self.clips, indices, logits_nk, modality, part, self._copies)
            for modality, logits_nk in zip(MODALITIES, logits_snk, strict=False)
        ]
        return [*tables, fuse(tables)]

    def state(self, progress: Progress) -> TrainingState:
        """What a checkpoint holds."""
        config = comparable(self.config)
        summary = summarise("phase1", progress, config, self.clips.skeletons)
        return TrainingState(self.streams, self.mesh, summary)

    def load(self, folder: Path) -> Progress:
        """Restores the streams that this process hosts, and returns how far they had come."""
        config = comparable(self.config)
        progress = read_summary(folder, "phase1", config, self.clips.skeletons)
        for stream in self.streams:
            stream.load(folder)
        return progress
