"""What the trainers of both phases share, on a linear network that is small enough to check."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from copied_clips import with_copy
from torch import Tensor, nn
from torch.func import functional_call

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import StoreConfig
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import Split, split_clips
from hhmnet_core.training.checkpoints import TrainingIdentity
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig, learning_rate
from hhmnet_core.training.records import EpochRecord, Progress
from hhmnet_core.training.stream import Stream
from hhmnet_core.training.trainer import BatchShare, Trainer, seeded_initialisation

CPU = torch.device("cpu")


@dataclass
class LinearConfig:
    data: StoreConfig = field(default_factory=StoreConfig)
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(
            name="sgd", epochs=3, batch=10, lr=0.1, warmup=0, weight_decay=0, clip=1e9, ema=0
        )
    )
    seed: int = 1


class LinearTrainer(Trainer[LinearConfig]):
    """Classifies clips by the joints of their first frame, with a linear map."""

    phase = "linear"
    members = ("joint", "bone")
    evaluation_batch = 7

    def __init__(
        self, clips: ClipSet, mesh: Mesh | None = None, config: LinearConfig | None = None
    ) -> None:
        config = config or LinearConfig()
        both = split_clips(clips, "", config.data.selection)
        super().__init__(config, clips, both, mesh or Mesh(), CPU)
        self.x_nf = torch.from_numpy(clips.frames[clips.first_frame].copy()).flatten(1)
        self.labels_n = torch.from_numpy(clips.labels.copy())
        self.streams = [self.make_stream(member) for member in self.members]

    def make_stream(self, member: str) -> Stream[nn.Linear]:
        with seeded_initialisation(self.config.seed, member):
            model = nn.Linear(self.x_nf.shape[1], 3)
        return Stream(member, model, self.config.optim)

    @property
    def identity(self) -> TrainingIdentity:
        return TrainingIdentity(self.phase, self.config, "digest")

    def inputs(self, share: BatchShare) -> None:
        return None

    def backward(self, share: BatchShare, inputs: None) -> Tensor:
        sums = []
        for stream in self.streams:
            logits_nk = stream.model(self.x_nf[share.clips_n])
            labels_n = self.labels_n[share.clips_n]
            loss = F.cross_entropy(logits_nk, labels_n, reduction="sum")
            (loss / share.total).backward()
            correct = (logits_nk.argmax(1) == labels_n).sum()
            sums.append(torch.stack([loss.detach(), correct, torch.zeros(())]))
        return torch.stack(sums)

    def sum_over_mesh(self, steps: list[Tensor]) -> Tensor:
        return torch.stack(steps)

    def score(self, clips_n: Tensor, best: bool) -> Tensor:
        x_nf = self.x_nf[clips_n]
        return torch.stack([functional_call(s.model, s.weights(best), x_nf) for s in self.streams])


@pytest.fixture
def trainer(tiny_clips: ClipSet) -> LinearTrainer:
    return LinearTrainer(tiny_clips)


def share(batch: range, rows: slice, seed: int = 1, step: int = 3) -> BatchShare:
    return BatchShare(torch.tensor(list(batch)), rows, (seed, 2, step))


def test_shares_of_a_batch_draw_the_rows_of_the_whole_batch() -> None:
    batch = range(20, 27)
    whole = share(batch, slice(0, 7))
    parts = [share(batch, rows) for rows in (slice(0, 3), slice(3, 7))]
    assert whole.total == parts[0].total == 7
    assert torch.cat([part.clips_n for part in parts]).tolist() == list(batch)
    drawn = torch.cat([part.random("crop").uniform(2) for part in parts])
    assert torch.equal(drawn, whole.random("crop").uniform(2))


def test_random_numbers_depend_on_seed_step_and_purpose() -> None:
    batch, rows = range(4), slice(0, 4)
    draws = [
        share(batch, rows).random("crop").uniform(),
        share(batch, rows).random("drop").uniform(),
        share(batch, rows, seed=2).random("crop").uniform(),
        share(batch, rows, step=4).random("crop").uniform(),
    ]
    assert len({tuple(draw.tolist()) for draw in draws}) == 4
    assert torch.equal(share(batch, rows).random("crop").uniform(), draws[0])


def test_initial_weights_depend_on_seed_and_member_alone() -> None:
    def draw(seed: int, member: str) -> list[float]:
        with seeded_initialisation(seed, member):
            return torch.rand(3).tolist()

    before = torch.get_rng_state()
    first = draw(1, "joint")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert draw(1, "joint") == first
    assert draw(1, "bone") != first and draw(2, "joint") != first


def test_an_epoch_visits_every_training_clip_once(trainer: LinearTrainer) -> None:
    assert trainer.steps_per_epoch == 3  # 24 training clips by 10
    order = trainer.epoch_order(1)
    assert len(order) == 3
    assert sorted(torch.cat(order).tolist()) == trainer.split.train.tolist()
    assert torch.cat(trainer.epoch_order(2)).tolist() != torch.cat(order).tolist()


def test_batches_too_small_for_the_mesh_are_refused(tiny_clips: ClipSet) -> None:
    mesh = Mesh()
    mesh.data = 9
    with pytest.raises(
        InputError,
        match=r"A batch of 8 clips cannot be split over 9 data-parallel workers: raise "
        r"optim\.batch \(10\) or use fewer workers",
    ):
        LinearTrainer(tiny_clips, mesh)
    mesh.data = 8
    LinearTrainer(tiny_clips, mesh)


def test_a_step_updates_at_its_learning_rate(trainer: LinearTrainer) -> None:
    order = trainer.epoch_order(1)
    trainer.train_step(trainer.prepare(1, 0, order[0]))
    stream = trainer.streams[1]
    weight = stream.model.weight
    before = weight.detach().clone()
    momentum = stream.optimizer.state(0)["momentum_buffer"]["weight"].clone()
    x_nf, labels_n = trainer.x_nf[order[1]], trainer.labels_n[order[1]]
    (gradient,) = torch.autograd.grad(F.cross_entropy(stream.model(x_nf), labels_n), weight)
    trainer.train_step(trainer.prepare(2, 1, order[1]))
    momentum = 0.9 * momentum + gradient
    rate = learning_rate(trainer.config.optim, 3 + 1, 3)
    torch.testing.assert_close(
        weight.detach(), before - rate * (gradient + 0.9 * momentum), rtol=1e-4, atol=1e-6
    )


def test_a_step_returns_sums_in_double_precision(trainer: LinearTrainer) -> None:
    batch_n = trainer.epoch_order(1)[0]
    logits_nk = trainer.streams[0].model(trainer.x_nf[batch_n]).detach()
    labels_n = trainer.labels_n[batch_n]
    sums_m3 = trainer.train_step(trainer.prepare(1, 0, batch_n))
    assert sums_m3.dtype == torch.float64 and sums_m3.shape == (2, 3)
    loss = F.cross_entropy(logits_nk, labels_n, reduction="sum").item()
    assert sums_m3[0].tolist() == [loss, (logits_nk.argmax(1) == labels_n).sum().item(), 0]


def test_training_metrics_are_means_over_the_training_clips(trainer: LinearTrainer) -> None:
    sums_m3 = torch.tensor([[12.0, 6.0, 3.0], [24.0, 24.0, 0.0]], dtype=torch.float64)
    metrics = trainer.train_metrics(2, sums_m3)
    rate = learning_rate(trainer.config.optim, 5, 3)  # of the last step
    assert metrics == {
        "joint": {
            "train/loss": 0.5, "train/contrast": 0.125, "train/top1": 0.25, "train/lr": rate,
        },
        "bone": {"train/loss": 1.0, "train/contrast": 0.0, "train/top1": 1.0, "train/lr": rate},
    }  # fmt: skip


def test_losses_that_are_not_finite_end_the_training(trainer: LinearTrainer) -> None:
    sums_m3 = torch.tensor([[12.0, 6.0, 3.0], [float("nan"), 24.0, 0.0]])
    with pytest.raises(
        InputError, match=r"diverged \(losses \[0\.5, nan\] in epoch 3\): lower optim\.lr \(0\.1\)"
    ):
        trainer.train_metrics(3, sums_m3)


def test_logits_are_those_of_the_network_whatever_the_batches(trainer: LinearTrainer) -> None:
    indices = trainer.split.test  # 18 clips by 7
    logits_mnk = trainer.logits(indices)
    assert logits_mnk.shape == (2, 18, 3) and not logits_mnk.requires_grad
    for stream, logits_nk in zip(trainer.streams, logits_mnk, strict=True):
        torch.testing.assert_close(logits_nk, stream.model(trainer.x_nf[indices]).detach())


def test_validation_keeps_the_weights_of_the_best_epoch(trainer: LinearTrainer) -> None:
    joint, bone = trainer.streams
    metrics: dict[str, dict[str, float]] = {"joint": {"train/loss": 1.0}}
    trainer.validate(1, metrics, [])
    assert metrics["joint"]["best/epoch"] == metrics["bone"]["best/epoch"] == 1
    assert {"val/top1", "val/loss"} <= metrics["joint"].keys() and "train/loss" in metrics["joint"]
    first = joint.best["weight"].clone()
    with torch.no_grad():
        joint.model.weight.zero_()
        bone.model.weight.zero_()
    again: dict[str, dict[str, float]] = {}
    previous = {
        "joint": {"best/val_top1": 1.1, "best/val_loss": 0.0, "best/epoch": 1},  # out of reach
        "bone": {"best/val_top1": -0.1, "best/val_loss": 9.0, "best/epoch": 1},
    }
    trainer.validate(2, again, [EpochRecord(1, 1.0, previous)])
    assert again["joint"]["best/epoch"] == 1 and again["bone"]["best/epoch"] == 2
    assert torch.equal(joint.best["weight"], first)
    assert torch.equal(bone.best["weight"], torch.zeros_like(first))


def test_final_scores_use_the_best_weights(trainer: LinearTrainer) -> None:
    trainer.validate(1, {}, [])
    expected = trainer.logits(trainer.split.test)
    for step, batch_n in enumerate(trainer.epoch_order(1)):
        trainer.train_step(trainer.prepare(1, step, batch_n))
    tables = trainer.final_scores()
    assert [(table.modality, table.split) for table in tables] == [
        ("joint", "val"), ("bone", "val"), ("joint", "test"), ("bone", "test"),
    ]  # fmt: skip
    np.testing.assert_array_equal(tables[2].logits, expected[0])
    assert not np.array_equal(trainer.tables("test")[0].logits, expected[0])


def test_without_val_nothing_is_validated_or_kept(tiny_clips: ClipSet) -> None:
    trainer = LinearTrainer(
        tiny_clips, config=LinearConfig(data=StoreConfig(selection="literature"))
    )
    metrics: dict[str, dict[str, float]] = {}
    trainer.validate(1, metrics, [])
    assert metrics == {} and trainer.streams[0].best == {}
    assert {table.split for table in trainer.final_scores()} == {"test"}


def test_logits_that_are_not_finite_end_the_training(trainer: LinearTrainer) -> None:
    with torch.no_grad():
        trainer.streams[0].model.bias.fill_(float("inf"))
    with pytest.raises(InputError, match=r"diverged \(logits of val are not finite\): lower"):
        trainer.tables("val")


def test_tables_mark_copies_of_the_known_clips(tiny_clips: ClipSet) -> None:
    trainer = LinearTrainer(with_copy(tiny_clips, 40, original=3))  # 36 and on are test
    for table in trainer.final_scores():
        assert table.copies == ({"clip040"} if table.split == "test" else set())
    known = trainer.split
    fewer = LinearTrainer(with_copy(tiny_clips, 40, original=3))
    fewer.known_split = Split(known.train[known.train != 3], known.val, known.test)
    assert all(table.copies == set() for table in fewer.final_scores())


def test_a_training_is_saved_and_loaded(
    trainer: LinearTrainer, tiny_clips: ClipSet, tmp_path: Path
) -> None:
    progress = Progress([EpochRecord(1, 1.0, {})])
    trainer.train_step(trainer.prepare(1, 0, trainer.epoch_order(1)[0]))
    trainer.state(progress).save(tmp_path)
    other = LinearTrainer(tiny_clips)
    assert other.load(tmp_path) == progress
    for ours, theirs in zip(trainer.streams, other.streams, strict=True):
        assert torch.equal(ours.model.weight, theirs.model.weight)
    changed = LinearTrainer(tiny_clips, config=replace(LinearConfig(), seed=2))
    with pytest.raises(InputError, match=r"another config \(different: seed\)"):
        changed.load(tmp_path)
