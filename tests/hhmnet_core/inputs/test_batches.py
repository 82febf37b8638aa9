"""Batches against clips read one by one, frame by frame."""

import math

import numpy as np
import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.inputs import batches, normalise
from hhmnet_core.inputs.batches import BatchReader, free_memory
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.augment import frame_positions
from hhmnet_core.store.clips import ClipSet

CPU = torch.device("cpu")


def read_one(clips: ClipSet, index: int, positions: np.ndarray) -> np.ndarray:
    """(M, T, V, C) of one clip, centred, interpolated by NumPy, coordinate by coordinate."""
    joints = clips.clip(index).joints
    joints = joints - joints[0, 0, 2]
    out = np.empty((len(joints), len(positions), *joints.shape[2:]))
    for place in np.ndindex(len(joints), *joints.shape[2:]):
        body, joint, channel = place
        values = joints[body, :, joint, channel]
        out[body, :, joint, channel] = np.interp(positions, np.arange(len(values)), values)
    return out


def test_batch_equals_clips_read_one_by_one(tiny_clips: ClipSet) -> None:
    reader = BatchReader(tiny_clips, DataConfig(frames=16), CPU)
    chosen = torch.tensor([7, 5, 0, 53, 2, 7])
    lengths = reader.num_frames(chosen)
    positions = torch.rand(len(chosen), 16) * (lengths - 1)[:, None]
    batch = reader.batch(chosen, positions)
    assert batch.joints_nctvm.shape == (6, 3, 16, 20, 2)
    assert batch.labels_n.tolist() == [int(tiny_clips.labels[i]) for i in chosen]
    rows = []
    for n, index in enumerate(chosen.tolist()):
        expected = read_one(tiny_clips, index, positions[n].numpy())
        bodies = len(expected)
        rows += [2 * n + body for body in range(bodies)]
        got = batch.joints_nctvm[n].permute(3, 1, 2, 0).numpy()
        np.testing.assert_allclose(got[:bodies], expected, atol=1e-5)
        assert (got[bodies:] == 0).all()
    assert batch.body_rows.tolist() == rows


@pytest.mark.parametrize("placed", [False, True])
def test_batches_are_the_same_from_the_device_and_from_the_file(
    tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch, placed: bool
) -> None:
    config = DataConfig(frames=16, align=placed, normalise_size=placed)
    made = []
    for chunk, resident in ((1 << 16, True), (50, True), (50, False)):
        monkeypatch.setattr(normalise, "CHUNK_FRAMES", chunk)
        reader = BatchReader(tiny_clips, config, CPU, resident)
        assert reader.resident == resident
        chosen = torch.tensor([7, 5, 0, 53, 2, 7])
        positions = frame_positions(reader.num_frames(chosen), 16)
        made.append(reader.batch(chosen, positions).joints_nctvm)
    assert torch.equal(made[0], made[1]) and torch.equal(made[1], made[2])


def test_clips_live_on_the_device_where_they_fit(
    tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 1 << 20 < free_memory(CPU) < 1 << 50
    for free, resident in ((4 * tiny_clips.frames.nbytes, True), (1000, False)):
        monkeypatch.setattr(batches, "free_memory", lambda device, free=free: free)
        assert BatchReader(tiny_clips, DataConfig(), CPU).resident == resident
        assert not BatchReader(tiny_clips, DataConfig(), CPU, sharers=2).resident


def test_batch_of_single_bodies_has_one(tiny_clips: ClipSet) -> None:
    reader = BatchReader(tiny_clips, DataConfig(frames=4), CPU)
    chosen = torch.tensor([0, 2, 4])
    batch = reader.batch(chosen, frame_positions(reader.num_frames(chosen), 4))
    assert batch.joints_nctvm.shape[-1] == 1
    assert batch.body_rows.tolist() == [0, 1, 2]


def test_aligned_clips_face_one_way_whatever_the_camera(tiny_clips: ClipSet) -> None:
    config = DataConfig(frames=8, align=True, normalise_size=True)
    turned = tiny_clips.frames @ np.array(
        [[math.cos(1), 0, -math.sin(1)], [0, 1, 0], [math.sin(1), 0, math.cos(1)]], dtype=np.float32
    )
    elsewhere = ClipSet(**{**vars(tiny_clips), "frames": 2 * turned + np.float32(3)})
    batches = []
    for clips in (tiny_clips, elsewhere):
        reader = BatchReader(clips, config, CPU)
        everyone = torch.arange(len(clips))
        batches.append(reader.batch(everyone, frame_positions(reader.num_frames(everyone), 8)))
    here, there = (batch.joints_nctvm for batch in batches)
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)
    first = here[..., 0]
    layout = reader.layout
    across = (
        first[:, :, :, layout.joint("left_shoulder")]
        - first[:, :, :, layout.joint("right_shoulder")]
    )
    bones = first - first[:, :, :, list(layout.parents)]
    # The arms of these clips move along the vertical alone: every frame is aligned.
    assert (across[:, 2].abs() < 1e-3).all() and (across[:, 0] < 0).all()
    size = bones.norm(dim=1).sum(2).mean(1) / 19
    # Read at 8 places of the clip, not at every frame: near one, not one.
    assert (size - 1).abs().max() < 0.2


def test_frames_without_the_body_decide_neither_place_nor_size(tiny_clips: ClipSet) -> None:
    layout = tiny_clips.manifest.skeleton
    index = int(np.argmax(tiny_clips.num_frames))
    first, count = int(tiny_clips.first_frame[index]), int(tiny_clips.num_frames[index])
    frames = tiny_clips.frames.copy()
    frames[first] = frames[first + count // 2] = 0  # as NTU's reader leaves a body that vanishes
    seen = np.delete(frames[first : first + count], [0, count // 2], axis=0)
    measured = normalise.measure(
        ClipSet(**{**vars(tiny_clips), "frames": frames}), layout, align=True, normalise_size=True
    )
    bones = np.linalg.norm(seen - seen[:, list(layout.parents)], axis=2)
    assert measured.size_n is not None
    assert float(measured.size_n[index]) == pytest.approx(bones.sum(1).mean() / len(layout.bones))
    np.testing.assert_array_equal(measured.centre_nc[index], seen[0, layout.centre])


def test_filled_axes_equal_plain_ones(tiny_clips: ClipSet) -> None:
    reader = BatchReader(tiny_clips, DataConfig(frames=16, normalise_axes=True), CPU)
    chosen = torch.tensor([7, 5, 0, 53, 2])
    plain = BatchReader(tiny_clips, DataConfig(frames=16), CPU).whole(chosen)
    batch = reader.whole(chosen)
    assert torch.equal(batch.body_rows, plain.body_rows)
    for n, index in enumerate(chosen.tolist()):
        bodies = len(tiny_clips.clip(index).joints)
        joints = plain.joints_nctvm[n, ..., :bodies].numpy().astype(np.float64)
        low, high = (f(joints, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
        expected = 2 * (joints - low) / np.where(high > low, high - low, 1) - 1
        expected = np.where(high > low, expected, 0)
        got = batch.joints_nctvm[n].numpy()
        np.testing.assert_allclose(got[..., :bodies], expected, atol=1e-5)
        assert (got[..., bodies:] == 0).all()
    still = plain.joints_nctvm.clone()
    still[:, 1] = 0.7
    assert (reader.finished(still, batch.body_rows)[:, 1] == 0).all()
    # However large, and wherever: the same.
    larger = 3 * plain.joints_nctvm + torch.tensor([1.0, -2, 5]).view(1, 3, 1, 1, 1)
    again = reader.finished(larger, batch.body_rows)
    torch.testing.assert_close(again, batch.joints_nctvm, atol=1e-5, rtol=1e-5)


def test_alignment_without_a_vertical_is_refused(tiny_clips: ClipSet) -> None:
    manifest = type(tiny_clips.manifest)(**{**vars(tiny_clips.manifest), "layout": "coco_17"})
    flat = ClipSet(
        **{**vars(tiny_clips), "manifest": manifest, "frames": tiny_clips.frames[:, :17, :2].copy()}
    )
    with pytest.raises(InputError, match=r"layout coco_17 .* set data.align to false"):
        BatchReader(flat, DataConfig(align=True), CPU)


def test_store_of_another_layout_is_named(tiny_clips: ClipSet) -> None:
    manifest = type(tiny_clips.manifest)(**{**vars(tiny_clips.manifest), "layout": "kinect_v2_25"})
    with pytest.raises(InputError, match="20 joints of 3 channels, but layout kinect_v2_25"):
        BatchReader(ClipSet(**{**vars(tiny_clips), "manifest": manifest}), DataConfig(), CPU)


@pytest.mark.parametrize("frames", [1, 1_000_000])
def test_frames_out_of_reach_are_named(frames: int) -> None:
    with pytest.raises(InputError, match=f"data.frames must be 2 to 2048, but is {frames}"):
        DataConfig(frames=frames)
