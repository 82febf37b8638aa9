"""Normalisation: centre, rotation, size and axes of clips."""

import math

import numpy as np
import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.inputs import normalise
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.augment import frame_positions
from hhmnet_core.store.clips import ClipSet

CPU = torch.device("cpu")


def test_aligned_clips_face_one_way_for_any_camera(tiny_clips: ClipSet) -> None:
    config = DataConfig(frames=8, align=True, normalise_size=True)
    turned = tiny_clips.frames @ np.array(
        [[math.cos(1), 0, -math.sin(1)], [0, 1, 0], [math.sin(1), 0, math.cos(1)]], dtype=np.float32
    )
    moved_clips = ClipSet(**{**vars(tiny_clips), "frames": 2 * turned + np.float32(3)})
    batches = []
    for clips in (tiny_clips, moved_clips):
        reader = BatchReader(clips, config, CPU)
        all_n = torch.arange(len(clips))
        batches.append(reader.batch(all_n, frame_positions(reader.num_frames(all_n), 8)))
    original, moved = (batch.joints_nctvm for batch in batches)
    torch.testing.assert_close(original, moved, atol=1e-4, rtol=1e-4)
    first = original[..., 0]
    layout = reader.layout
    across = (
        first[:, :, :, layout.joint("left_shoulder")]
        - first[:, :, :, layout.joint("right_shoulder")]
    )
    bones = first - first[:, :, :, list(layout.parents)]
    # The arms of these clips move along the vertical alone: every frame is aligned.
    assert (across[:, 2].abs() < 1e-3).all() and (across[:, 0] < 0).all()
    size = bones.norm(dim=1).sum(2).mean(1) / 19
    # Not exactly one, because the batch has 8 of the clip's frames.
    assert (size - 1).abs().max() < 0.2


def test_frames_without_the_body_affect_neither_centre_nor_size(tiny_clips: ClipSet) -> None:
    layout = tiny_clips.manifest.skeleton
    index = int(np.argmax(tiny_clips.num_frames))
    first, count = int(tiny_clips.first_frame[index]), int(tiny_clips.num_frames[index])
    frames = tiny_clips.frames.copy()
    frames[first] = frames[first + count // 2] = 0  # as NTU's reader stores a body out of sight
    seen = np.delete(frames[first : first + count], [0, count // 2], axis=0)
    measured = normalise.measure_normalisation(
        ClipSet(**{**vars(tiny_clips), "frames": frames}), layout, align=True, normalise_size=True
    )
    bones = np.linalg.norm(seen - seen[:, list(layout.parents)], axis=2)
    assert measured.size_n is not None
    assert float(measured.size_n[index]) == pytest.approx(bones.sum(1).mean() / len(layout.bones))
    np.testing.assert_array_equal(measured.centre_nc[index], seen[0, layout.centre])


def test_scaled_axes_equal_those_of_numpy(tiny_clips: ClipSet) -> None:
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
    assert (reader.scaled(still, batch.body_rows)[:, 1] == 0).all()
    # Neither size nor position matters.
    larger = 3 * plain.joints_nctvm + torch.tensor([1.0, -2, 5]).view(1, 3, 1, 1, 1)
    again = reader.scaled(larger, batch.body_rows)
    torch.testing.assert_close(again, batch.joints_nctvm, atol=1e-5, rtol=1e-5)


def test_alignment_without_a_vertical_is_refused(tiny_clips: ClipSet) -> None:
    manifest = type(tiny_clips.manifest)(**{**vars(tiny_clips.manifest), "layout": "coco_17"})
    flat = ClipSet(
        **{**vars(tiny_clips), "manifest": manifest, "frames": tiny_clips.frames[:, :17, :2].copy()}
    )
    with pytest.raises(InputError, match=r"layout coco_17 .* set data.align to false"):
        BatchReader(flat, DataConfig(align=True), CPU)


@pytest.mark.parametrize("chunk", [1, 50, 1 << 16])
def test_chunks_hold_whole_clips(
    tiny_clips: ClipSet, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(normalise, "CHUNK_FRAMES", chunk)
    chunks = list(normalise.iterate_chunks(tiny_clips))
    assert torch.cat([numbers for numbers, _, _ in chunks]).tolist() == list(range(54))
    np.testing.assert_array_equal(torch.cat([x for _, x, _ in chunks]), tiny_clips.frames)
    for numbers, frames_fvc, clip_f in chunks:
        rows = (tiny_clips.num_frames * tiny_clips.num_bodies)[numbers.numpy()]
        assert clip_f.bincount()[numbers].tolist() == rows.tolist()
        assert len(numbers) == 1 or len(frames_fvc) <= chunk


def test_missing_joints_affect_neither_centre_nor_turn_nor_size(tiny_clips: ClipSet) -> None:
    """Against a plain loop over clips; filled positions are far away, and count where all are."""
    layout = tiny_clips.manifest.skeleton
    left, right = layout.joint("left_shoulder"), layout.joint("right_shoulder")
    random = np.random.default_rng(0)
    missing = random.random(tiny_clips.frames.shape[:2]) < 0.3
    whole = slice(int(tiny_clips.first_frame[1]), int(tiny_clips.first_frame[2]))
    missing[whole, [layout.centre]] = True  # known in no frame of clip 1
    frames = np.where(missing[..., None], np.float32(50), tiny_clips.frames)
    changed = ClipSet(**{**vars(tiny_clips), "frames": frames, "missing": missing})
    measured = normalise.measure_normalisation(changed, layout, align=True, normalise_size=True)
    assert measured.size_n is not None and measured.turn_ncc is not None
    for index in range(len(tiny_clips)):
        first, count = int(tiny_clips.first_frame[index]), int(tiny_clips.num_frames[index])
        body, lost = frames[first : first + count], missing[first : first + count]
        lengths = []
        for child, parent in layout.bones:
            seen = ~lost[:, child] & ~lost[:, parent]
            seen = seen if seen.any() else np.ones(count, bool)
            lengths.append(np.linalg.norm(body[seen, child] - body[seen, parent], axis=1).mean())
        assert float(measured.size_n[index]) == pytest.approx(np.mean(lengths), rel=1e-5)
        known = np.flatnonzero(~lost[:, layout.centre])
        at = known[0] if len(known) else 0
        np.testing.assert_array_equal(measured.centre_nc[index], body[at, layout.centre])
        seen = ~lost[:, left] & ~lost[:, right]
        seen = seen if seen.any() else np.ones(count, bool)
        across = (body[seen, left] - body[seen, right]).mean(0)
        turned = measured.turn_ncc[index].numpy() @ across
        assert abs(turned[2]) < 1e-3 * np.linalg.norm(across) and turned[0] <= 0
