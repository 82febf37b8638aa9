"""Batches against clips read one by one, frame by frame."""

import numpy as np
import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.inputs import memory, normalise
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.augment import frame_positions
from hhmnet_core.store.clips import ClipSet

CPU, META = torch.device("cpu"), torch.device("meta")


def read_one(clips: ClipSet, index: int, positions: np.ndarray) -> np.ndarray:
    """Return one clip, (M, T, V, C), centred, interpolated by NumPy for each coordinate."""
    joints = clips.clip(index).joints
    joints = joints - joints[0, 0, 2]
    out = np.empty((len(joints), len(positions), *joints.shape[2:]))
    for body, joint, channel in np.ndindex(len(joints), *joints.shape[2:]):
        values = joints[body, :, joint, channel]
        out[body, :, joint, channel] = np.interp(positions, np.arange(len(values)), values)
    return out


def test_batch_equals_clips_read_one_by_one(tiny_clips: ClipSet) -> None:
    reader = BatchReader(tiny_clips, DataConfig(frames=16), CPU)
    chosen = torch.tensor([7, 5, 0, 53, 2, 7])
    lengths = reader.num_frames(chosen)
    positions = torch.rand(len(chosen), 16) * (lengths - 1)[:, None]
    batch = reader.read(reader.plan(chosen, positions))
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


@pytest.mark.parametrize("normalised", [False, True])
def test_batches_are_the_same_from_the_device_and_from_the_file(
    tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch, normalised: bool
) -> None:
    config = DataConfig(frames=16, align=normalised, normalise_size=normalised)
    batches = []
    for chunk, resident in ((1 << 16, True), (50, True), (50, False)):
        monkeypatch.setattr(normalise, "CHUNK_FRAMES", chunk)
        reader = BatchReader(tiny_clips, config, CPU, resident)
        assert reader.resident == resident
        chosen = torch.tensor([7, 5, 0, 53, 2, 7])
        positions = frame_positions(reader.num_frames(chosen), 16)
        batches.append(reader.read(reader.plan(chosen, positions)).joints_nctvm)
    assert torch.equal(batches[0], batches[1]) and torch.equal(batches[1], batches[2])


def test_clips_stay_on_a_device_other_than_the_host_if_they_fit(
    tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, resident in ((4 * tiny_clips.frames.nbytes, True), (1000, False)):
        monkeypatch.setattr(memory, "free_memory", lambda device, free=free: free)
        assert BatchReader(tiny_clips, DataConfig(), META).resident == resident
        assert not BatchReader(tiny_clips, DataConfig(), META, sharers=2).resident
        assert not BatchReader(tiny_clips, DataConfig(), CPU).resident


def test_batch_of_single_bodies_has_one(tiny_clips: ClipSet) -> None:
    reader = BatchReader(tiny_clips, DataConfig(frames=4), CPU)
    chosen = torch.tensor([0, 2, 4])
    batch = reader.read(reader.plan(chosen, frame_positions(reader.num_frames(chosen), 4)))
    assert batch.joints_nctvm.shape[-1] == 1
    assert batch.body_rows.tolist() == [0, 1, 2]


def test_store_of_another_layout_is_named(tiny_clips: ClipSet) -> None:
    manifest = type(tiny_clips.manifest)(**{**vars(tiny_clips.manifest), "layout": "kinect_v2_25"})
    with pytest.raises(InputError, match="20 joints of 3 channels, but layout kinect_v2_25"):
        BatchReader(ClipSet(**{**vars(tiny_clips), "manifest": manifest}), DataConfig(), CPU)
