"""What phase 1 reads and scores: against NumPy, view by view, and against the model made of it."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_networks import random_model, tensors_of

from hhmnet_core.deploy.description import NetworkDescription
from hhmnet_core.deploy.export_check import pad
from hhmnet_core.deploy.graph import ModelGraph
from hhmnet_core.deploy.model import Model
from hhmnet_core.deploy.skeleton_networks import with_views
from hhmnet_core.identity import identity
from hhmnet_core.skeleton.augment import AugmentConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer

CPU = torch.device("cpu")


def field_clip(clip: np.ndarray, angles: tuple[float, float], frames: np.ndarray) -> np.ndarray:
    """Return a clip (M, T, V, 3) as CTR-GCN's reader of NW-UCLA: (3, T', V, M).

    Turned about y, then about x; scaled to [-1, 1] by all its frames; then its frames are taken.
    """
    (cx, cy), (sx, sy) = np.cos(angles), np.sin(angles)
    rx = np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]])
    ry = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    rows = (clip - clip[0, 0, 1]).reshape(-1, 3).astype(np.float64) @ (ry @ rx)
    low, high = rows.min(0), rows.max(0)
    scaled = ((rows - low) / (high - low) * 2 - 1).reshape(clip.shape)
    return np.moveaxis(scaled[:, frames], (0, 3), (3, 0))


FIELD_AUGMENT = AugmentConfig(
    crop=1, random_frames=True, yaw=60, tilt=60, roll=0, scale=0, shear=0, bone_noise=0,
    yaw_first=True, motion_share=0,
)  # fmt: skip


def field_config(small: Phase1Config) -> Phase1Config:
    data = replace(
        small.data,
        motion_share=0,
        normalise_axes=True,
        axes_extent="clip",
        whole_frames=True,
    )
    return replace(small, data=data, augment=FIELD_AUGMENT)


def test_the_field_s_reader_equals_that_of_ctr_gcn(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    """In training and in scoring, against its arithmetic in NumPy."""
    trainer = Phase1Trainer(field_config(small), tiny_clips, Mesh(), CPU)
    frames, seen = trainer.config.data.frames, []
    trainer.derive.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    batch_n = trainer.epoch_order(1)[0]
    prepared = trainer.prepare(1, 0, batch_n)
    share = prepared.share
    trainer.backward(share, prepared.inputs)
    drawn = share.random("crop").uniform(frames).numpy()
    angles = share.random("augment").uniform(3, low=-1.0, high=1.0).numpy() * np.radians(60)
    lengths = []
    for n, index in enumerate(batch_n.tolist()):
        clip = tiny_clips.clip(index).joints
        bodies, length = clip.shape[:2]
        lengths.append(length)
        chosen = np.sort(np.floor(drawn[n] * np.float32(length)).astype(int))
        expected = field_clip(clip, tuple(angles[n, :2]), chosen)
        np.testing.assert_allclose(seen[0][n, ..., :bodies], expected, atol=2e-5)
    assert max(lengths) > frames > min(lengths)
    scored = trainer.reader.view(batch_n).joints_nctvm
    for n, index in enumerate(batch_n.tolist()):
        clip = tiny_clips.clip(index).joints
        bodies, length = clip.shape[:2]
        even = np.linspace(0, length - 1, frames).astype(int)
        np.testing.assert_allclose(
            scored[n, ..., :bodies], field_clip(clip, (0, 0), even), atol=2e-5
        )


def test_input_statistics_are_those_of_the_frames_that_are_scored(
    tiny_clips: ClipSet, small: Phase1Config
) -> None:
    config = field_config(small)
    config = replace(config, data=replace(config.data, motion_step=3))
    trainer = Phase1Trainer(config, tiny_clips, Mesh(), CPU)
    parents, frames = list(tiny_clips.manifest.skeleton.parents), config.data.frames
    bodies = []
    for index in trainer.split.train.tolist():
        clip = tiny_clips.clip(index).joints
        even = np.linspace(0, clip.shape[1] - 1, frames).astype(int)
        bodies.extend(np.moveaxis(field_clip(clip, (0, 0), even), 3, 0))
    joints_nctv = np.stack(bodies)
    bones_nctv = joints_nctv - joints_nctv[..., parents]
    ahead = np.minimum(np.arange(frames) + 3, frames - 1)
    stream = next(each for each in trainer.streams if each.member == "bone_motion")
    motion_nctv = bones_nctv[:, :, ahead] - bones_nctv
    np.testing.assert_allclose(stream.model.input_mean.T, motion_nctv.mean((0, 2)), atol=1e-5)
    expected = np.sqrt(motion_nctv.var((0, 2)).mean())
    assert float(stream.model.input_std) == pytest.approx(expected, rel=1e-4)


def moving_config(small: Phase1Config) -> Phase1Config:
    """Return a config whose clips are scored in three views, with frames by motion."""
    data = replace(small.data, motion_share=0.5, normalise_size=True)
    return replace(small, data=data, augment=AugmentConfig(motion_share=0.4, views=3))


def test_scores_are_the_mean_logits_of_views(tiny_clips: ClipSet, small: Phase1Config) -> None:
    trainer = Phase1Trainer(moving_config(small), tiny_clips, Mesh(), CPU)
    chosen, (whole, second, third) = torch.tensor([7, 5, 0]), trainer.views
    alone = []
    for view in (whole, second, third):
        trainer.views = [view]
        alone.append(trainer.score(chosen, best=False))
    trainer.views = [whole, second, third]
    torch.testing.assert_close(trainer.score(chosen, best=False), torch.stack(alone).mean(0))
    assert not torch.allclose(alone[0], alone[1]) and not torch.allclose(alone[1], alone[2])


@pytest.mark.parametrize("changed", [field_config, moving_config])
def test_a_model_predicts_what_score_tables_hold(
    tiny_clips: ClipSet,
    small: Phase1Config,
    changed: Callable[[Phase1Config], Phase1Config],
) -> None:
    config = changed(small)
    data = replace(config.data, align=True, align_by="torso", motion_step=3)
    trainer = Phase1Trainer(replace(config, data=data), tiny_clips, Mesh(), CPU)
    manifest = tiny_clips.manifest
    networks = [
        (
            NetworkDescription(m, m, "run", json.loads(json.dumps(identity(trainer.config)))),
            {n: t.clone() for n, t in (stream.model.state_dict() | stream.evaluated).items()},
        )
        for m, stream in zip(MODALITIES, trainer.streams, strict=True)
    ]
    described = random_model(networks, class_names=manifest.class_names, layout=manifest.layout)
    model = Model(described, tensors_of(networks))
    tables = {table.modality: table for table in trainer.tables("test")}
    clips = [tiny_clips.clip(int(index)) for index in trainer.split.test]
    logits = model.logits(clips)
    for modality in MODALITIES:
        np.testing.assert_array_equal(logits[modality], tables[modality].logits)
    once = Model(with_views(described, 1), tensors_of(networks)).logits(clips)
    again = Model(with_views(with_views(described, 1), 3), tensors_of(networks)).logits(clips)
    for modality in MODALITIES:
        alike = np.allclose(once[modality], logits[modality])
        assert alike == (trainer.config.augment.views == 1)
        if trainer.config.augment.views == 3:
            np.testing.assert_array_equal(again[modality], logits[modality])
    graph = ModelGraph(described, tensors_of(networks))
    inputs = map(torch.from_numpy, pad([clip.joints for clip in clips]))
    np.testing.assert_allclose(graph(*inputs)[0], model.predict(clips), rtol=0, atol=1e-5)
