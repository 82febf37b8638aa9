"""The video network's loss, scores and part similarity on one process."""

import copy
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from copied_clips import with_copy

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.footage import Footage, keep_filmed
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.heat_maps import heat_map, joint_gaussians
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.store.protocols import split_clips
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase2.config import PartsConfig, Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.trainer import Phase2Trainer

CPU = torch.device("cpu")
MakeTrainer = Callable[..., Phase2Trainer]


@pytest.fixture
def make_trainer(
    clips: ClipSet, footage: Footage, guide: FrozenEncoder, small: Phase2Config
) -> MakeTrainer:
    def make(config: Phase2Config = small, clips: ClipSet = clips) -> Phase2Trainer:
        return Phase2Trainer(config, clips, footage, guide, Mesh(), CPU)

    return make


def test_tables_mark_copies_of_training_clips_filmed_or_not(
    clips: ClipSet, footage: Footage, make_trainer: MakeTrainer
) -> None:
    everyone = split_clips(clips, "", "val")
    filmed = keep_filmed(everyone, footage)
    copy_of_filmed, copy_of_unfilmed, *_ = map(int, filmed.test)
    known = {*everyone.train.tolist(), *everyone.val.tolist()}
    unfilmed = min(known - {*filmed.train.tolist(), *filmed.val.tolist()})
    copied = with_copy(
        with_copy(clips, copy_of_filmed, int(filmed.train[0])), copy_of_unfilmed, unfilmed
    )
    # Phase 1, with whose scores these are fused, was trained on both.
    both = {str(clips.sample_ids[each]) for each in (copy_of_filmed, copy_of_unfilmed)}
    for table in make_trainer(clips=copied).final_scores():
        assert table.copies == (both if table.split == "test" else set())


def test_clips_without_video_are_neither_trained_on_nor_scored(
    clips: ClipSet, footage: Footage, make_trainer: MakeTrainer
) -> None:
    trainer, everyone = make_trainer(), split_clips(clips, "", "val")
    for name in ("train", "val", "test"):
        kept, all_of_it = (set(getattr(s, name).tolist()) for s in (trainer.split, everyone))
        assert kept == {i for i in all_of_it if footage.has_video_n[i]}


def test_batches_too_small_for_the_mesh_are_refused(
    clips: ClipSet, footage: Footage, guide: FrozenEncoder, small: Phase2Config
) -> None:
    mesh = Mesh()
    mesh.data = 9
    with pytest.raises(InputError, match="cannot be split over 9 data-parallel workers"):
        Phase2Trainer(small, clips, footage, guide, mesh, CPU)


def guidance_of(
    trainer: Phase2Trainer, clips_n: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the heat map, masks and part features of clips that are not augmented."""
    gaussians = joint_gaussians(trainer.joints[clips_n], trainer.grid)
    importance, masks = trainer.guidance.importance(clips_n), trainer.guidance.masks(gaussians)
    assert importance is not None and masks is not None
    return heat_map(importance, gaussians), masks, trainer.guidance.tokens(clips_n)


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_a_step_differentiates_cross_entropy_and_part_contrast(
    class_weight: str, clips: ClipSet, make_trainer: MakeTrainer, small: Phase2Config
) -> None:
    """Against InfoNCE written out, part by part, over the clips that show the part."""
    config = replace(
        small,
        video=replace(small.video, dropout=0),
        augment=VideoAugmentConfig(zoom=0, move=0, turn=0, brightness=0, mirror=0),
        parts=PartsConfig(weight=0.7, temperature=0.3),
        optim=replace(
            small.optim, precision="float64", label_smoothing=0, class_weight=class_weight
        ),
    )
    is_rare = np.arange(len(clips)) % 4 == 0
    clips = replace(clips, labels=np.where(is_rare, clips.labels, 0))
    trainer = make_trainer(config, clips)
    batch_n = trainer.epoch_order(1)[0]
    heat, masks, tokens = guidance_of(trainer, batch_n)
    model = trainer.stream.model
    images = trainer.reader.images(batch_n).double() / 255
    encoded = model(images, heat.double(), masks.double(), None)
    log_nk = encoded.logits_nk.log_softmax(1)
    labels_n = torch.tensor(clips.labels)[batch_n]
    weights_n = torch.ones(len(batch_n), dtype=torch.float64)
    if class_weight == "balanced":
        counts = Counter(clips.labels[trainer.split.train].tolist())
        even = counts.total() / len(counts)
        weights_n = torch.tensor([even / counts[int(each)] for each in labels_n])
        assert weights_n.max() > weights_n.min()
    cross_entropy = -(weights_n * log_nk.gather(1, labels_n[:, None])[:, 0]).sum()
    skeleton_npe = model.project_parts(tokens)
    visible_np = (masks.sum((2, 3, 4)) > 1e-3) & tokens.any(-1)
    contrasts = []
    for part in range(len(PARTS)):
        shown = visible_np[:, part]
        if shown.any():
            video_ne, known_ne = encoded.parts_npe[shown, part], skeleton_npe[shown, part]
            logits_nn = video_ne @ known_ne.T / 0.3
            diagonal = torch.arange(len(logits_nn))
            both = [F.cross_entropy(each, diagonal) for each in (logits_nn, logits_nn.T)]
            contrasts.append(sum(both) / 2)
    contrast = torch.stack(contrasts).mean()
    parameters = list(model.parameters())
    expected = torch.autograd.grad(
        cross_entropy / len(batch_n) + 0.7 * contrast, parameters, allow_unused=True
    )

    prepared = trainer.prepare(1, 0, batch_n)
    sums_m3 = trainer.backward(prepared.share, prepared.inputs)
    for parameter, gradient in zip(parameters, expected, strict=True):
        if gradient is None:
            assert not parameter.grad.any()
        else:
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-5)
    correct = (log_nk.argmax(1) == labels_n).sum()
    sums = [cross_entropy.item(), correct.item(), contrast.item() * len(batch_n)]
    assert sums_m3.tolist() == [pytest.approx(sums, rel=1e-4)]


def test_part_similarity_is_the_mean_cosine_of_visible_parts(
    make_trainer: MakeTrainer, small: Phase2Config
) -> None:
    trainer = make_trainer()
    for step, batch_n in enumerate(trainer.epoch_order(1)):
        trainer.train_step(trainer.prepare(1, step, batch_n))
    similarity = trainer.final_metrics()["video"]
    model = copy.deepcopy(trainer.stream.model).eval()
    model.load_state_dict(trainer.stream.evaluated)
    cosines: dict[tuple[int, int], list[float]] = defaultdict(list)
    for clip in trainer.split.test.tolist():
        one = torch.tensor([clip])
        heat, masks, tokens = guidance_of(trainer, one)
        with torch.no_grad():
            parts = model(trainer.reader.images(one) / 255, heat, masks).parts_npe[0].numpy()
            known = model.project_parts(tokens)[0].numpy()
        seen = masks[0].sum((1, 2, 3)).numpy() > 1e-3
        for i, j in np.argwhere(np.outer(seen, tokens[0].any(-1).numpy() & seen)).tolist():
            cosines[i, j].append(float(parts[i] @ known[j]))
    expected = {
        f"similarity/{PARTS[i]}/{PARTS[j]}": np.mean(values) for (i, j), values in cosines.items()
    }
    assert similarity == pytest.approx(expected, abs=1e-5) and len(similarity) == 36
    trainer.mesh.rows = lambda total: slice(total, total)  # type: ignore[method-assign]
    assert trainer.final_metrics() == {"video": {}}  # more processes than clips: no share of test


def test_there_is_no_part_similarity_where_the_body_is_contrasted_as_one(
    make_trainer: MakeTrainer, small: Phase2Config
) -> None:
    assert make_trainer(replace(small, parts=PartsConfig(mode="body"))).final_metrics() == {}


def test_training_metrics_include_the_strength_of_the_guidance(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    sums_m3 = torch.tensor([[12.0, 6.0, 3.0]], dtype=torch.float64)
    values = trainer.train_metrics(1, sums_m3)["video"]
    assert list(values) == [
        "train/loss", "train/contrast", "train/top1", "train/lr", "train/guidance",
    ]  # fmt: skip
    assert values["train/guidance"] == 0.5  # halfway, before the first step
