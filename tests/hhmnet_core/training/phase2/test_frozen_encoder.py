"""The frozen encoder: its weights, its guidance, and the checkpoints that it refuses."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.footage import Footage
from hhmnet_core.models.joint_importance import compute_guidance
from hhmnet_core.skeleton.augment import mirror
from hhmnet_core.skeleton.modalities import Derivation
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder, read_phase1_config
from hhmnet_core.training.phase2.trainer import Phase2Trainer

CPU = torch.device("cpu")


def test_it_is_frozen_to_the_last_bit(
    clips: ClipSet, footage: Footage, phase1: Path, small: Phase2Config
) -> None:
    guide = FrozenEncoder.read(phase1, "joint", clips, CPU)
    before = {name: t.clone() for name, t in guide.encoder.state_dict().items()}
    trainer = Phase2Trainer(small, clips, footage, guide, Mesh(), CPU)
    for step, batch_n in enumerate(trainer.epoch_order(1)):
        trainer.train_step(trainer.prepare(1, step, batch_n))
    after = guide.encoder.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(p.requires_grad or p.grad is not None for p in guide.encoder.parameters())
    saved = load_file(phase1 / "joint.safetensors")
    for name, weight in saved.items():
        if name.startswith("best/"):
            assert torch.equal(weight, after[name.removeprefix("best/")])


@pytest.mark.parametrize("modality", ["joint", "bone_motion"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_its_guidance_is_that_of_the_encoder_on_whole_clips(
    modality: str, mirrored: bool, clips: ClipSet, phase1: Path
) -> None:
    guide = FrozenEncoder.read(phase1, modality, clips, CPU)
    # In a batch of their own, clips of one body have no second body.
    single = torch.tensor([0, 2, 4])
    guidance = guide.guidance(single, mirrored)
    assert guide.reader.most_bodies == 2
    batch, layout = guide.reader.view(single), clips.manifest.skeleton
    joints = batch.joints_nctvm
    joints = mirror(joints, torch.tensor(layout.mirror)) if mirrored else joints
    x_nctvm = Derivation(layout)(joints, modality)
    expected = compute_guidance(guide.encoder, x_nctvm, batch.body_rows)
    assert guidance.importance_nmtv.shape == (3, 2, *expected.importance_nmtv.shape[2:])
    torch.testing.assert_close(guidance.importance_nmtv[:, :1], expected.importance_nmtv)
    assert not guidance.importance_nmtv[:, 1].any()
    torch.testing.assert_close(guidance.parts_npc, expected.parts_npc)


def test_importance_is_that_at_even_times_where_frames_are_spaced_by_motion(
    clips: ClipSet, phase1: Path
) -> None:
    guide = FrozenEncoder.read(phase1, "joint", clips, CPU)
    config = guide.config
    config = replace(config, data=replace(config.data, motion_share=0.9))
    moving = FrozenEncoder(guide.encoder, config, "joint", clips, CPU)
    chosen = torch.from_numpy(clips.labels.nonzero()[0])
    batch, frames = moving.reader.view(chosen), config.data.frames
    read = compute_guidance(guide.encoder, batch.joints_nctvm, batch.body_rows).importance_nmtv
    found, changed = moving.guidance(chosen).importance_nmtv, False
    for n, clip in enumerate(chosen):
        positions = moving.reader.scored_positions(clip[None])[0]
        even = np.linspace(0, int(clips.num_frames[clip]) - 1, frames)
        nearest = [int(np.abs(positions.numpy() - time).argmin()) for time in even]
        torch.testing.assert_close(found[n, : read.shape[1]], read[n][:, nearest])
        changed |= nearest != list(range(frames))
    assert changed


def test_its_guidance_of_a_clip_does_not_depend_on_the_batch(
    clips: ClipSet, guide: FrozenEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Clips with motion: what stands still has an importance of rounding alone.
    moving = torch.from_numpy(clips.labels.nonzero()[0])
    at_once = guide.guidance(moving)
    monkeypatch.setattr("hhmnet_core.training.phase2.frozen_encoder.BATCH", 5)
    in_batches = guide.guidance(moving)
    torch.testing.assert_close(
        in_batches.importance_nmtv, at_once.importance_nmtv, rtol=1e-2, atol=1e-3
    )
    torch.testing.assert_close(in_batches.parts_npc, at_once.parts_npc, rtol=1e-4, atol=1e-5)


def test_its_digest_is_that_of_the_checkpoint_file(guide: FrozenEncoder, phase1: Path) -> None:
    content = (phase1 / "joint.safetensors").read_bytes()
    assert guide.digest == hashlib.sha256(content).hexdigest()


def test_its_config_is_that_of_the_run(clips: ClipSet, phase1: Path) -> None:
    config = read_phase1_config(phase1, clips)
    assert (config.data.frames, config.model.widths, config.optim.batch) == (16, [16, 32], 8)
    assert config.model.branches == [(3, 1), (5, 1)]  # tuples, as the config type wants


def test_a_run_on_other_skeletons_is_refused(phase1: Path, tiny_clips: ClipSet) -> None:
    with pytest.raises(InputError, match=r"was trained on other skeletons .*layout kinect_v1_20"):
        FrozenEncoder.read(phase1, "joint", tiny_clips, CPU)


def test_an_unfinished_run_is_refused(phase1: Path, clips: ClipSet) -> None:
    with pytest.raises(InputError, match=r"is unfinished \(1 of 2 epochs\): start it again"):
        FrozenEncoder.read(phase1.parent / "epoch1", "joint", clips, CPU)


def test_a_folder_that_holds_no_phase1_checkpoint_is_refused(
    phase1: Path, clips: ClipSet, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is not a checkpoint of phase 1"):
        FrozenEncoder.read(tmp_path, "joint", clips, CPU)
    state = json.loads((phase1 / "state.json").read_text())
    del state["files"], state["sha256"]  # as of before there were checksums
    (tmp_path / "state.json").write_text(json.dumps(state | {"phase": "phase2"}))
    with pytest.raises(InputError, match="is a checkpoint of phase2, expected one of phase 1"):
        FrozenEncoder.read(tmp_path, "joint", clips, CPU)


def test_damaged_weights_are_named(phase1: Path, clips: ClipSet, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(phase1, folder)
    (folder / "joint.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"joint\.safetensors is damaged .* train the run again"):
        FrozenEncoder.read(folder, "joint", clips, CPU)
    (folder / "joint.safetensors").unlink()
    with pytest.raises(InputError, match=r"joint\.safetensors is missing"):
        FrozenEncoder.read(folder, "joint", clips, CPU)


def test_a_run_on_a_store_elsewhere_guides(phase1: Path, clips: ClipSet, tmp_path: Path) -> None:
    """Its skeletons have to be the same, not the place of its store or its manifest."""
    moved = replace(clips, manifest=replace(clips.manifest, dataset="elsewhere"))
    assert read_phase1_config(phase1, moved) == read_phase1_config(phase1, clips)
