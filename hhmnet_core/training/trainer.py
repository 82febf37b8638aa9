"""The trainer that both phases extend: batches, steps, metrics, scores and checkpoints."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import Field, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.inputs.copies import copies_of_training
from hhmnet_core.inputs.order import epoch_order, smallest_batch
from hhmnet_core.inputs.transfer import to_device
from hhmnet_core.models.precision import set_float32_products
from hhmnet_core.notices import watched
from hhmnet_core.randomness import BatchRandom, keyed_generator
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.store.protocols import Split
from hhmnet_core.training.checkpoints import (
    CheckpointSummary,
    TrainingIdentity,
    resumed_summary,
)
from hhmnet_core.training.evaluation import score_table, table_metrics, update_best
from hhmnet_core.training.flat_optimizer import FlatOptimizer
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import (
    OptimConfig,
    average_weight,
    check_converging,
    class_weights,
    learning_rate,
    with_epochs,
)
from hhmnet_core.training.recorded_steps import GraphRecorder, RecordedSteps, check_recordable
from hhmnet_core.training.records import EpochRecord, Metrics, Progress
from hhmnet_core.training.reports import TrainingState
from hhmnet_core.training.stream import Stream


class PhaseConfig(Protocol):
    """The fields that the configs of both phases, which are dataclasses, have."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def data(self) -> StoreConfig:
        """Training data."""

    @property
    def optim(self) -> OptimConfig:
        """Optimisation."""

    @property
    def seed(self) -> int:
        """Random seed."""


Config = TypeVar("Config", bound=PhaseConfig)


@dataclass(frozen=True)
class BatchShare:
    """One process's share of a global batch.

    Attributes:
        batch_n: (N,) clip indices of the global batch, on the host.
        rows: Rows of the global batch that the process trains on.
        key: Seed, epoch and step, from which its random numbers are drawn.
    """

    batch_n: Tensor
    rows: slice
    key: tuple[int, int, int]

    @property
    def total(self) -> int:
        """N, the number of clips in the global batch."""
        return len(self.batch_n)

    @property
    def clips_n(self) -> Tensor:
        """Clip indices of the share."""
        return self.batch_n[self.rows]

    def random(self, purpose: str) -> BatchRandom:
        """Return random numbers for the share, equal in every mesh, for one purpose."""
        start, stop = self.rows.start, self.rows.stop
        return BatchRandom(*self.key, purpose, total=self.total, start=start, stop=stop)


@dataclass(frozen=True)
class PreparedStep:
    """A training step that is ready to be taken.

    Attributes:
        share: This process's share of the batch.
        inputs: Inputs of the step, of the phase's own type, on the device.
    """

    share: BatchShare
    inputs: Any


class Trainer(ABC, Generic[Config]):
    """The trainer of a phase on one process of the mesh.

    The loss of a global batch is computed so that every mesh computes the same one.

    Args:
        config: Config of the phase.
        clips: Clips of the store.
        split: Clips that the phase trains on and scores.
        mesh: This process among the workers.
        device: Device that it trains on.

    Attributes:
        phase: Name of the phase.
        members: Members that the phase trains, over all processes.
        evaluation_batch: Number of clips that are scored at a time.
        streams: Networks that this process trains.
        known_split: Clips whose copies in test are marked in score tables.
        recorded: Takes the steps by replaying them. None: each is taken operation by operation.

    Raises InputError where the batches cannot be split over the mesh, or the config asks for what
    the device cannot do.
    """

    phase: ClassVar[str]
    members: tuple[str, ...]
    evaluation_batch: ClassVar[int]
    streams: Sequence[Stream[Any]]

    def __init__(
        self, config: Config, clips: ClipSet, split: Split, mesh: Mesh, device: torch.device
    ) -> None:
        optim = with_epochs(config.optim, len(split.train))
        self.config, self.clips = replace(config, optim=optim), clips
        self.split = self.known_split = split
        self.mesh, self.device = mesh, device
        set_float32_products(optim.precision, device)
        check_recordable(optim, mesh, device)
        self.recorded: RecordedSteps | None = None
        if optim.capture:
            self.recorded = RecordedSteps(self.take_step, GraphRecorder(device), device)
        self._class_weights_k: Tensor | None = None
        if optim.class_weight == "balanced":
            labels_n = torch.from_numpy(clips.labels[split.train])
            weights_k = class_weights(labels_n, len(clips.manifest.class_names))
            self._class_weights_k = weights_k.to(device, optim.dtype)
        smallest = smallest_batch(len(split.train), config.optim.batch)
        if smallest < mesh.data:
            raise InputError(
                f"A batch of {smallest} clips cannot be split over {mesh.data} data-parallel "
                f"workers: raise optim.batch ({config.optim.batch}) or use fewer workers."
            )

    # What a phase provides, for its own type of inputs, a dataclass of tensors.

    @property
    @abstractmethod
    def identity(self) -> TrainingIdentity:
        """All that decides the result, as checkpoints record it."""

    @abstractmethod
    def inputs(self, share: BatchShare) -> Any:
        """Return what the networks read and all random numbers of a step, on the host."""

    @abstractmethod
    def backward(self, share: BatchShare, inputs: Any) -> Tensor:
        """Compute the gradients of this process's networks on its share of a batch.

        Args:
            share: The share.
            inputs: Its inputs, on the device.

        Returns:
            (M, 3): sums over the share of loss, correct clips and contrast, for the M members that
            this process trains.
        """

    @abstractmethod
    def sum_over_mesh(self, steps: list[Tensor]) -> Tensor:
        """Sum over all processes what each of S steps measured: S of (M, 3) -> (S, members, 3)."""

    @abstractmethod
    def score(self, clips_n: Tensor, best: bool) -> Tensor:
        """Return logits (M, N, K) of clips (N,) by the M members that this process trains.

        Args:
            clips_n: Clip indices.
            best: Score with the weights of the best epoch where one was chosen.
        """

    def final_metrics(self) -> Metrics:
        """Return metrics that are computed once, at the end of the training."""
        return {}

    def cross_entropy(self, logits_nk: Tensor, labels_n: Tensor) -> Tensor:
        """Return the loss of each clip: (..., N, K) logits and (..., N) classes -> (..., N)."""
        losses_n = F.cross_entropy(
            logits_nk.movedim(-1, 1),
            labels_n,
            reduction="none",
            label_smoothing=self.config.optim.label_smoothing,
        )
        weights_k = self._class_weights_k
        return losses_n if weights_k is None else losses_n * weights_k[labels_n]

    def update(self, rate: float | Tensor, weight: float | Tensor) -> None:
        """Take an optimiser step of every network; arguments as of `FlatOptimizer.update`."""
        for optimizer in self.optimizers:
            optimizer.update(rate, weight)

    # What both phases share.

    @property
    def optimizers(self) -> list[FlatOptimizer]:
        """Optimisers of the networks, each once."""
        return list(dict.fromkeys(stream.optimizer for stream in self.streams))

    @property
    def steps_per_epoch(self) -> int:
        """Number of global batches in an epoch."""
        return -(-len(self.split.train) // self.config.optim.batch)

    def epoch_order(self, epoch: int) -> list[Tensor]:
        """Return the global batches of an epoch as clip indices."""
        return epoch_order(self.split.train, self.config.optim.batch, self.config.seed, epoch)

    def prepare(self, epoch: int, step: int, batch_n: Tensor) -> PreparedStep:
        """Prepare a training step on the host, and begin to copy its inputs to the device.

        Args:
            epoch: Number of the epoch, from 1.
            step: Number of the step in the epoch, from 0.
            batch_n: (N,) clip indices of the global batch, the same on all processes.
        """
        key = (self.config.seed, epoch, step)
        share = BatchShare(batch_n, self.mesh.rows(len(batch_n)), key)
        return PreparedStep(share, to_device(self.inputs(share), self.device))

    def prepared(
        self, epoch: int, order: list[Tensor], start: int = 0
    ) -> Iterator[tuple[int, PreparedStep]]:
        """Yield the steps of an epoch, each prepared while the one before is computed.

        Args:
            epoch: Number of the epoch, from 1.
            order: Clip indices of its global batches.
            start: First step.
        """
        with ThreadPoolExecutor(1, "prepare") as aside:

            def prepare(step: int) -> Future[PreparedStep]:
                return aside.submit(self.prepare, epoch, step, order[step])

            ahead = prepare(start)
            for step in range(start, len(order)):
                current = ahead.result()
                if step + 1 < len(order):
                    ahead = prepare(step + 1)
                yield step, current

    def train_step(self, prepared: PreparedStep) -> Tensor:
        """Take a prepared training step. Return what `backward` returned, in double precision."""
        optim, (_, epoch, step) = self.config.optim, prepared.share.key
        done = (epoch - 1) * self.steps_per_epoch + step
        rate = learning_rate(optim, done, self.steps_per_epoch)
        weight = average_weight(optim.ema, done)
        take_step = self.recorded or self.take_step
        return take_step(prepared.share, prepared.inputs, rate, weight)

    def take_step(
        self, share: BatchShare, inputs: Any, rate: float | Tensor, weight: float | Tensor
    ) -> Tensor:
        """Take a training step, operation by operation.

        Args:
            share: Share of the batch.
            inputs: Its inputs, on the device.
            rate: Learning rate.
            weight: Weight of the new weights in the averaged ones.

        Returns:
            What `backward` returned, in double precision.
        """
        sums_m3 = self.backward(share, inputs)
        self.mesh.sum_over_data([each.weights.gradient_q for each in self.optimizers])
        self.update(rate, weight)
        return sums_m3.double()

    def train_metrics(self, epoch: int, sums_m3: Tensor) -> Metrics:
        """Return the training metrics of an epoch, from the sums (members, 3) over its steps."""
        config = self.config.optim
        means_m3 = sums_m3 / len(self.split.train)
        check_converging(means_m3, f"losses {means_m3[:, 0].tolist()} in epoch {epoch}", config)
        rate = learning_rate(config, epoch * self.steps_per_epoch - 1, self.steps_per_epoch)
        return {
            member: {
                "train/loss": loss,
                "train/contrast": contrast,
                "train/top1": correct,
                "train/lr": rate,
            }
            for member, (loss, correct, contrast) in zip(
                self.members, means_m3.tolist(), strict=False
            )
        }

    def validate(self, epoch: int, metrics: Metrics, history: list[EpochRecord]) -> None:
        """Add the val metrics of an epoch, and keep the weights of each network's best epoch."""
        tables = self.tables("val")
        for table in tables:
            metrics.setdefault(table.modality, {}).update(table_metrics(table))
        previous = history[-1].metrics if history else {}
        selection = self.config.data.selection
        for member in (table.modality for table in tables if table.modality in self.members):
            if update_best(metrics[member], previous.get(member, {}), epoch, selection):
                for stream in self.streams:
                    if stream.member == member:
                        stream.keep_best()

    def final_scores(self) -> list[ScoreTable]:
        """Return the score tables of val and test, from the weights of the best epoch if any."""
        return [*self.tables("val", best=True), *self.tables("test", best=True)]

    def tables(self, split: str, best: bool = False) -> list[ScoreTable]:
        """Return the score table of each member on "val" or "test"; none on an empty split."""
        indices = self.split.val if split == "val" else self.split.test
        if not len(indices):
            return []
        logits_mnk = self.logits(indices, best)
        check_converging(logits_mnk, f"logits of {split} are not finite", self.config.optim)
        return [
            score_table(self.clips, indices, logits_nk, member, split, self.copies)
            for member, logits_nk in zip(self.members, logits_mnk, strict=False)
        ]

    @torch.no_grad()
    def logits(self, indices: Int64Array, best: bool = False) -> Tensor:
        """Return the logits (members, N, K) of clips (N,) as float32 on the host."""
        everyone_n = torch.from_numpy(indices)
        own_n = everyone_n[self.mesh.rows(len(everyone_n))]
        classes = len(self.clips.manifest.class_names)
        local_mnk = torch.zeros(len(self.streams), len(own_n), classes, device=self.device)
        start = 0
        batches = own_n.split(self.evaluation_batch) if len(own_n) else ()
        shared = self.mesh.data  # batches are scored at the same time
        for clips_n in watched(batches, "scoring", len(everyone_n), lambda n: shared * len(n)):
            local_mnk[:, start : start + len(clips_n)] = self.score(clips_n, best)
            start += len(clips_n)
        return self.mesh.gather(local_mnk, len(everyone_n)).cpu()

    @cached_property
    def copies(self) -> Int64Array:
        return copies_of_training(self.clips, self.known_split)

    def state(self, progress: Progress) -> TrainingState:
        """Return this process's share of a checkpoint."""
        summary = CheckpointSummary.of(self.identity, progress)
        return TrainingState(self.streams, self.mesh, summary)

    def load(self, folder: Path) -> Progress:
        """Restore the networks of this process from a checkpoint, and return its progress.

        Raises InputError where the checkpoint is damaged or belongs to another training.
        """
        summary = resumed_summary(folder, self.identity)
        for stream in self.streams:
            stream.load(folder, summary)
        return summary.progress


@contextmanager
def seeded_initialisation(seed: int, member: str) -> Iterator[None]:
    """Draw a network's initial weights from (seed, member) alone.

    The state of torch's global generator is restored afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(keyed_generator(seed, member).get_state())
        yield
