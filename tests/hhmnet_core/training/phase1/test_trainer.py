"""Encoders, inputs, losses and scores of phase 1 on one process."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from copied_clips import with_copy

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.batches import BatchPlan
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig, random_positions
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase1.trainer import Phase1Trainer, make_encoder
from hhmnet_core.training.trainer import PreparedStep

CPU = torch.device("cpu")


def test_a_step_trains_on_what_data_and_augment_ask_for(
    tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch, small: Phase1Config
) -> None:
    config = replace(
        small,
        data=replace(small.data, normalise_axes=True, motion_share=0),
        augment=AugmentConfig(random_frames=True, motion_share=0),
    )
    trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
    positions, seen = [], []
    planned = trainer.reader.plan

    def plan(clips_n: torch.Tensor, positions_nt: torch.Tensor) -> BatchPlan:
        positions.append(positions_nt)
        return planned(clips_n, positions_nt)

    monkeypatch.setattr(trainer.reader, "plan", plan)
    trainer.derive.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    trainer.train_step(trainer.prepare(1, 1, trainer.epoch_order(1)[0]))
    (drawn,) = positions
    assert torch.equal(drawn, drawn.floor()) and (drawn.diff(dim=1) == 0).any()
    assert len(seen) == len(MODALITIES)
    for joints in seen:
        torch.testing.assert_close(joints.amin((2, 3, 4)), torch.full(joints.shape[:2], -1.0))
        torch.testing.assert_close(joints.amax((2, 3, 4)), torch.ones(joints.shape[:2]))


def test_training_draws_the_share_of_motion_of_each_clip(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    """Positions are those of the clock, counted by a share that is drawn apart from them."""
    varied = AugmentConfig(motion_share=0.3)

    def prepared(share: float, augment: AugmentConfig) -> tuple[Phase1Trainer, PreparedStep]:
        config = replace(small, data=replace(small.data, motion_share=share), augment=augment)
        trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
        return trainer, trainer.prepare(1, 1, trainer.epoch_order(1)[0])

    even = AugmentConfig(motion_share=0)
    clock, by_clock = prepared(0.0, even)
    clips_n, random = by_clock.share.clips_n, by_clock.share.random
    positions_nt = random_positions(
        clock.reader.num_frames(clips_n), small.data.frames, varied, random("crop")
    )
    drawn_n = random("motion").uniform(low=-0.3, high=0.3)
    for share, augment, shares_n in (
        (0.0, varied, drawn_n.clamp_min(0)),
        (0.5, varied, 0.5 + drawn_n),
        (0.5, even, torch.full_like(drawn_n, 0.5)),
    ):
        trainer, found = prepared(share, augment)
        frames_nt = trainer.reader.motion.frames_at(clips_n, positions_nt, shares_n)
        expected = trainer.reader.plan(clips_n, frames_nt)
        assert torch.equal(found.inputs.plan.frames_2rt, expected.frames_2rt)
        torch.testing.assert_close(
            found.inputs.plan.fraction_rt, expected.fraction_rt, rtol=0, atol=1e-4
        )
        assert torch.equal(found.inputs.change.map_ncc, by_clock.inputs.change.map_ncc)
        assert not torch.equal(found.inputs.plan.frames_2rt, by_clock.inputs.plan.frames_2rt)


def test_steps_prepared_ahead_are_those_prepared_one_by_one(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    trainer = Phase1Trainer(small, tiny_clips, Mesh(), CPU)
    order = trainer.epoch_order(2)
    ahead = list(trainer.prepared(2, order, start=1))
    assert [step for step, _ in ahead] == list(range(1, len(order)))
    for step, prepared in ahead:
        alone = trainer.prepare(2, step, order[step])
        assert prepared.share.key == alone.share.key == (small.seed, 2, step)
        mine, theirs = prepared.inputs, alone.inputs
        assert torch.equal(mine.plan.frames_2rt, theirs.plan.frames_2rt)
        assert torch.equal(mine.change.map_ncc, theirs.change.map_ncc)
        assert all(map(torch.equal, mine.drops_snd, theirs.drops_snd))


def test_modalities_do_not_depend_on_each_other_without_contrast(
    tiny_clips: ClipSet, one_epoch: Phase1Config
) -> None:
    config = replace(one_epoch, contrast=ContrastConfig(weight=0))
    (together,) = fit(config, tiny_clips, Mesh())
    (alone,) = fit(config, tiny_clips, Mesh.alone(4))
    assert alone.metrics["joint"] == together.metrics["joint"]


def test_encoders_of_a_seed_are_equal_and_of_modalities_are_not(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    def stem(config: Phase1Config, modality: str) -> torch.Tensor:
        return make_encoder(config, modality, tiny_clips).stem.weight

    assert torch.equal(stem(small, "bone"), stem(small, "bone"))
    assert not torch.equal(stem(small, "bone"), stem(small, "joint"))
    assert not torch.equal(stem(small, "bone"), stem(replace(small, seed=2), "bone"))


def test_input_is_standardised_over_the_bodies_of_the_training_clips(
    tiny_clips: ClipSet, one_epoch: Phase1Config
) -> None:
    config = replace(one_epoch, data=replace(one_epoch.data, motion_share=0))
    streams = next(fit(config, tiny_clips, Mesh())).state.streams
    training = [i for i in range(36) if tiny_clips.subjects[i] != 3]
    frames = []
    for index in training:
        joints = tiny_clips.clip(index).joints.astype(np.float64)
        joints -= joints[0, 0, 2]
        positions = np.linspace(0, joints.shape[1] - 1, 8)
        low = np.floor(positions).astype(int)
        part = (positions - low)[:, None, None]
        high = np.minimum(low + 1, joints.shape[1] - 1)
        frames += list(joints[:, low] * (1 - part) + joints[:, high] * part)
    joint_rtvc = np.stack(frames)
    motion_rtvc = np.zeros_like(joint_rtvc)
    motion_rtvc[:, :-1] = np.diff(joint_rtvc, axis=1)
    for stream, x_rtvc in ((streams[0], joint_rtvc), (streams[2], motion_rtvc)):
        mean_vc = x_rtvc.mean((0, 1))
        np.testing.assert_allclose(stream.model.input_mean, mean_vc, atol=1e-5)
        deviation = np.sqrt(((x_rtvc - mean_vc) ** 2).mean())
        assert stream.model.input_std.item() == pytest.approx(deviation, rel=1e-4)
        parents = list(tiny_clips.manifest.skeleton.parents)
        following = np.concatenate([x_rtvc[:, 1:], x_rtvc[:, -1:]], 1)
        context = [
            x_rtvc - x_rtvc.mean(2, keepdims=True), x_rtvc - x_rtvc[:, :, parents],
            following - x_rtvc,
        ]  # fmt: skip
        expected = [np.sqrt(each.var((0, 1)).mean()) / deviation for each in context]
        np.testing.assert_allclose(stream.model.context_std, expected, rtol=1e-4)


def test_making_an_encoder_leaves_the_global_generator_alone(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    before = torch.get_rng_state()
    make_encoder(small, "joint", tiny_clips)
    assert torch.equal(torch.get_rng_state(), before)


def test_too_many_data_workers_for_a_batch_are_refused(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    mesh = Mesh()
    mesh.data = 9
    with pytest.raises(InputError, match="A batch of 8 clips cannot be split over 9"):
        next(fit(small, tiny_clips, mesh))


def test_a_network_that_normalises_over_the_batch_is_not_split(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    mesh = Mesh()
    mesh.data = 2
    config = replace(small, model=ModelConfig(name="ctr_gcn"))
    with pytest.raises(InputError, match=r"ctr_gcn normalises over the whole batch"):
        next(fit(config, tiny_clips, mesh))


def test_tables_mark_copies_of_training_clips(tiny_clips: ClipSet, one_epoch: Phase1Config) -> None:
    clips = with_copy(tiny_clips, 40, original=3)  # 36 and on are test
    (report,) = fit(one_epoch, clips, Mesh())
    for table in report.scores:
        assert table.copies == ({"clip040"} if table.split == "test" else set())


def with_rare_classes(clips: ClipSet) -> ClipSet:
    """Return the clips with three of four in the first class."""
    rare = np.arange(len(clips)) % 4 == 0
    return replace(clips, labels=np.where(rare, clips.labels, 0))


def test_the_default_augmentation_is_the_same_in_metres_and_in_millimetres(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    config = replace(small, augment=AugmentConfig())
    millimetres = ClipSet(**{**vars(tiny_clips), "frames": 1000 * tiny_clips.frames})
    metres, other = (Phase1Trainer(config, each, Mesh(), CPU) for each in (tiny_clips, millimetres))
    batch_n = metres.epoch_order(1)[0]
    joints, expected = (
        trainer.augmented(trainer.prepare(1, 0, batch_n).inputs).joints_nctvm
        for trainer in (other, metres)
    )
    torch.testing.assert_close(joints / 1000, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("positives", "class_weight"), [("clip", "none"), ("class", "none"), ("clip", "balanced")]
)
def test_a_step_differentiates_cross_entropy_and_contrast_of_all_pairs(
    positives: str, class_weight: str, tiny_clips: ClipSet, small: Phase1Config
) -> None:
    """Against one graph over all encoders, with InfoNCE written out."""
    config = replace(
        small,
        model=replace(small.model, drop_path=0, dropout=0),
        augment=AugmentConfig(
            crop=1, yaw=0, tilt=0, roll=0, scale=0, shear=0, bone_noise=0, mirror=0, motion_share=0
        ),
        contrast=ContrastConfig(weight=0.7, positives=positives),
        optim=replace(
            small.optim, precision="float64", label_smoothing=0, class_weight=class_weight
        ),
    )
    tiny_clips = with_rare_classes(tiny_clips)
    trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
    batch_n = trainer.epoch_order(1)[0]
    weights_n = torch.ones(len(batch_n), dtype=torch.float64)
    if class_weight == "balanced":
        counts = Counter(tiny_clips.labels[trainer.split.train].tolist())
        even = counts.total() / len(counts)
        weights_n = torch.tensor([even / counts[int(tiny_clips.labels[i])] for i in batch_n])
        assert weights_n.max() > 2 * weights_n.min()
    whole, labels_n = trainer.reader.view(batch_n), torch.tensor(tiny_clips.labels)[batch_n]
    joints = whole.joints_nctvm.double()
    losses, embeddings, corrects = [], [], []
    for stream in trainer.streams:
        encoded = stream.model.eval()(trainer.derive(joints, stream.member), whole.body_rows)
        log_nk = encoded.logits_nk.log_softmax(1)
        losses.append(-(weights_n * log_nk.gather(1, labels_n[:, None])[:, 0]).sum())
        corrects.append((log_nk.argmax(1) == labels_n).sum().item())
        embeddings.append(encoded.embedding_ne)
    is_positive_nn = torch.eye(len(batch_n), dtype=torch.bool)
    if positives == "class":
        is_positive_nn = labels_n[:, None] == labels_n
    share_nn = is_positive_nn / is_positive_nn.sum(1, keepdim=True)

    def info_nce(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        logits_nn = one @ other.T
        both = logits_nn.log_softmax(1) + logits_nn.T.log_softmax(1)
        return -(share_nn * both).sum(1).mean() / 2

    pairs = {
        frozenset((i, j)): info_nce(embeddings[i], embeddings[j])
        for i, j in itertools.combinations(range(4), 2)
    }
    loss = sum(losses) / len(batch_n) + 0.7 * sum(pairs.values()) / 6
    parameters = [p for stream in trainer.streams for p in stream.model.parameters()]
    expected = torch.autograd.grad(loss, parameters)

    prepared = trainer.prepare(1, 0, batch_n)
    sums_m3 = trainer.backward(prepared.share, prepared.inputs)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)
    of_modality = [
        sum(value.item() for pair, value in pairs.items() if i in pair) / 3 * len(batch_n)
        for i in range(4)
    ]
    np.testing.assert_allclose(
        sums_m3, np.transpose([[each.item() for each in losses], corrects, of_modality]), rtol=1e-5
    )


def test_tables_hold_the_four_modalities_and_their_fusion_with_equal_weights(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    trainer = Phase1Trainer(small, tiny_clips, Mesh(), CPU)
    *tables, fusion = trainer.tables("test")
    assert [table.modality for table in tables] == list(MODALITIES)
    assert fusion.modality == "fusion"
    mean_nk = np.mean([table.logits for table in tables], axis=0)
    np.testing.assert_allclose(fusion.logits, mean_nk, atol=1e-6)
