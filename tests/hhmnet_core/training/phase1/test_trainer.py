"""Encoders, inputs, losses and scores of phase 1 on one process."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from copied_clips import with_copy

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.batches import Batch
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.skeleton.layouts import Layout
from hhmnet_core.skeleton.modalities import MODALITIES, derive
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1 import trainer as trainer_module
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase1.trainer import Phase1Trainer, make_encoder
from hhmnet_core.training.trainer import BatchShare

CPU = torch.device("cpu")


def test_a_step_trains_on_what_data_and_augment_ask_for(
    tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch, small: Phase1Config
) -> None:
    config = replace(
        small,
        data=replace(small.data, normalise_axes=True),
        augment=AugmentConfig(random_frames=True),
    )
    trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
    positions, seen = [], []
    cut, derived = trainer.reader.batch, trainer_module.derive

    def batch(clips_n: torch.Tensor, positions_nt: torch.Tensor) -> Batch:
        positions.append(positions_nt)
        return cut(clips_n, positions_nt)

    def derive(joints: torch.Tensor, modality: str, layout: Layout) -> torch.Tensor:
        seen.append(joints)
        return derived(joints, modality, layout)

    monkeypatch.setattr(trainer.reader, "batch", batch)
    monkeypatch.setattr(trainer_module, "derive", derive)
    trainer.train_step(1, 1, trainer.epoch_order(1)[0])
    (drawn,) = positions
    assert torch.equal(drawn, drawn.floor()) and (drawn.diff(dim=1) == 0).any()
    assert len(seen) == len(MODALITIES)
    for joints in seen:
        torch.testing.assert_close(joints.amin((2, 3, 4)), torch.full(joints.shape[:2], -1.0))
        torch.testing.assert_close(joints.amax((2, 3, 4)), torch.ones(joints.shape[:2]))


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
    streams = next(fit(one_epoch, tiny_clips, Mesh())).state.streams
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


@pytest.mark.parametrize("positives", ["clip", "class"])
def test_a_step_differentiates_cross_entropy_and_contrast_of_all_pairs(
    positives: str, tiny_clips: ClipSet, small: Phase1Config
) -> None:
    """Against one graph over all encoders, with InfoNCE written out."""
    config = replace(
        small,
        model=replace(small.model, drop_path=0, dropout=0),
        augment=AugmentConfig(
            crop=1, yaw=0, tilt=0, roll=0, scale=0, shear=0, joint_noise=0, mirror=0
        ),
        contrast=ContrastConfig(weight=0.7, positives=positives),
        optim=replace(small.optim, precision="float64", label_smoothing=0),
    )
    trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
    batch_n = trainer.epoch_order(1)[0]
    whole, labels_n = trainer.reader.whole(batch_n), torch.tensor(tiny_clips.labels)[batch_n]
    joints = whole.joints_nctvm.double()
    layout = tiny_clips.manifest.skeleton
    losses, embeddings, corrects = [], [], []
    for stream in trainer.streams:
        encoded = stream.model.eval()(derive(joints, stream.member, layout), whole.body_rows)
        log_nk = encoded.logits_nk.log_softmax(1)
        losses.append(-log_nk.gather(1, labels_n[:, None]).sum())
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
    parameters = [p for stream in trainer.streams for p in stream.parameters]
    expected = torch.autograd.grad(loss, parameters)

    sums_m3 = trainer.backward(BatchShare(batch_n, slice(0, len(batch_n)), (1, 1, 0), CPU))
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
