"""Normalisation: centre, rotation, size and axes of clips."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.inputs import normalise
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.augment import frame_positions
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.clips import Clip, ClipSet
from hhmnet_core.store.manifest import Manifest

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
        batches.append(
            reader.read(reader.plan(all_n, frame_positions(reader.num_frames(all_n), 8)))
        )
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


def test_bone_lengths_are_those_of_the_clips_as_they_are_read(tiny_clips: ClipSet) -> None:
    chosen = torch.tensor([7, 5, 0])
    metres = BatchReader(tiny_clips, DataConfig(frames=16), CPU)
    frames = 1000 * tiny_clips.frames
    millimetres = BatchReader(
        ClipSet(**{**vars(tiny_clips), "frames": frames}), DataConfig(frames=16), CPU
    )
    torch.testing.assert_close(millimetres.bone_lengths(chosen), 1000 * metres.bone_lengths(chosen))
    measured = normalise.measure_normalisation(
        tiny_clips, tiny_clips.manifest.skeleton, align=False, normalise_size=True
    )
    assert measured.size_n is not None
    torch.testing.assert_close(metres.bone_lengths(chosen), measured.size_n[chosen])
    scaled = BatchReader(tiny_clips, DataConfig(frames=16, normalise_size=True), CPU)
    assert scaled.bone_lengths(chosen).tolist() == [1, 1, 1]


def test_scaled_axes_equal_those_of_numpy(tiny_clips: ClipSet) -> None:
    reader = BatchReader(tiny_clips, DataConfig(frames=16, normalise_axes=True), CPU)
    chosen = torch.tensor([7, 5, 0, 53, 2])
    plain = BatchReader(tiny_clips, DataConfig(frames=16), CPU).view(chosen)
    plan = reader.plan(chosen, frame_positions(reader.num_frames(chosen), 16))
    batch = reader.view(chosen)
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
    flat = reader.scaled(replace(plain, joints_nctvm=still), plan)
    assert (flat.joints_nctvm[:, 1] == 0).all()
    # Neither size nor position matters.
    larger = 3 * plain.joints_nctvm + torch.tensor([1.0, -2, 5]).view(1, 3, 1, 1, 1)
    again = reader.scaled(replace(plain, joints_nctvm=larger), plan)
    torch.testing.assert_close(again.joints_nctvm, batch.joints_nctvm, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frames", [4, 7, 300])
def test_axes_are_scaled_by_all_frames_of_the_clip(tiny_clips: ClipSet, frames: int) -> None:
    """Also where the clip is longer than the frames that are read, and after a change."""
    config = DataConfig(frames=frames, normalise_axes=True, axes_extent="clip")
    reader, chosen = BatchReader(tiny_clips, config, CPU), torch.tensor([7, 5, 0, 53, 2])
    plan = reader.plan(chosen, frame_positions(reader.num_frames(chosen), frames))
    plain = BatchReader(tiny_clips, DataConfig(frames=frames), CPU).view(chosen)
    mixing = torch.tensor([[1.0, 0.5, 0], [0, 2, -1], [0.3, 0, 1]])
    identity = torch.eye(3)
    for matrix in (identity, mixing):

        def change(joints: torch.Tensor, by: torch.Tensor = matrix) -> torch.Tensor:
            return torch.einsum("dc,nctvm->ndtvm", by, joints)

        changed = replace(plain, joints_nctvm=change(plain.joints_nctvm))
        scaled = reader.scaled(changed, plan, change).joints_nctvm
        for n, index in enumerate(chosen.tolist()):
            clip = tiny_clips.clip(index).joints.astype(np.float64)
            moved = (clip - clip[0, 0, reader.layout.centre]) @ matrix.double().numpy().T
            low, high = moved.min((0, 1, 2)), moved.max((0, 1, 2))
            read = changed.joints_nctvm[n, ..., : len(clip)].double().numpy()
            half = ((high - low) / 2)[:, None, None, None]
            middle = ((high + low) / 2)[:, None, None, None]
            expected = np.where(half > 0, (read - middle) / np.where(half > 0, half, 1), 0)
            np.testing.assert_allclose(scaled[n, ..., : len(clip)], expected, atol=2e-5)
            assert (scaled[n, ..., len(clip) :] == 0).all()
    assert torch.equal(reader.view(chosen).joints_nctvm, reader.scaled(plain, plan).joints_nctvm)


def test_whole_frames_are_read_as_they_were_recorded(tiny_clips: ClipSet) -> None:
    config = DataConfig(frames=9, whole_frames=True, motion_share=0)
    reader = BatchReader(tiny_clips, config, CPU)
    chosen = torch.tensor([7, 5, 0])
    whole = reader.view(chosen).joints_nctvm
    floored = reader.read(
        reader.plan(chosen, torch.tensor([[0.0, 0.99, 1, 1.5, 2, 2.01, 2.999, 3, 3]] * 3))
    )
    for n, index in enumerate(chosen.tolist()):
        clip = tiny_clips.clip(index).joints
        clip = np.moveaxis(clip - clip[0, 0, reader.layout.centre], (0, 3), (3, 0))
        even = np.linspace(0, clip.shape[1] - 1, 9).astype(int)
        bodies = clip.shape[3]
        np.testing.assert_array_equal(whole[n, ..., :bodies], clip[:, even])
        given = clip[:, np.minimum([0, 0, 1, 1, 2, 2, 2, 3, 3], clip.shape[1] - 1)]
        np.testing.assert_array_equal(floored.joints_nctvm[n, ..., :bodies], given)


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


def torso_yaw(lines: list[np.ndarray], known: list[np.ndarray]) -> float:
    """Return the yaw of a clip from its lines (T, 2) in x and z, written out."""
    total = np.zeros(2)
    for line, seen in zip(lines, known, strict=True):
        line = line[seen if seen.any() else np.ones(len(line), bool)].astype(np.float64)
        mean, length = line.mean(0), np.linalg.norm(line, axis=1).mean()
        spread = np.linalg.norm(line - mean, axis=1).mean()
        total += (mean + np.array([-spread, 0])) / length
    return float(np.arctan2(total[1], total[0]) - np.pi)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("hips", [False, True])
def test_the_torso_s_turn_equals_a_loop_over_clips(
    tiny_clips: ClipSet, gaps: bool, hips: bool
) -> None:
    random = np.random.default_rng(0)
    manifest, frames = tiny_clips.manifest, tiny_clips.frames.copy()
    frames += random.normal(0, 0.1, frames.shape).astype(np.float32)  # contradicting frames
    layout = manifest.skeleton
    joints = tuple(name if hips else name.replace("hip", "thigh") for name in layout.joints)
    layout = replace(layout, joints=joints)
    missing = random.random(frames.shape[:2]) < 0.3 if gaps else np.zeros(frames.shape[:2], bool)
    changed = ClipSet(
        **{**vars(tiny_clips), "frames": frames, "missing": missing if gaps else None}
    )
    measured = normalise.measure_normalisation(changed, layout, True, False, "torso")
    assert measured.turn_ncc is not None
    sides = ("shoulder", "hip") if hips else ("shoulder",)
    assert len(normalise.body_lines(layout, "torso")[0]) == len(sides)
    assert len(normalise.body_lines(layout, "shoulders")[0]) == 1
    for index in range(len(tiny_clips)):
        first, count = int(tiny_clips.first_frame[index]), int(tiny_clips.num_frames[index])
        body, lost = frames[first : first + count], missing[first : first + count]
        pairs = [(layout.joint(f"left_{side}"), layout.joint(f"right_{side}")) for side in sides]
        lines = [(body[:, left] - body[:, right])[:, [0, 2]] for left, right in pairs]
        known = [~lost[:, left] & ~lost[:, right] for left, right in pairs]
        yaw = torso_yaw(lines, known)
        expected = np.array(
            [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
        )
        np.testing.assert_allclose(measured.turn_ncc[index], expected, atol=1e-5)


def test_the_torso_of_frames_that_agree_is_turned_as_the_shoulders_are() -> None:
    """And less, towards facing the sensor, where they contradict each other."""
    layout = get_layout("kinect_v1_20")
    pose = np.zeros((20, 3), np.float32)
    for name, x in (("shoulder", 0.2), ("hip", 0.1)):
        pose[layout.joint(f"left_{name}")] = [-x, 0, 0]
        pose[layout.joint(f"right_{name}")] = [x, 0, 0]

    def turned(degrees: float) -> np.ndarray:
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return pose @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)

    steady = np.stack([turned(30)] * 10)[None]
    flipping = np.stack([turned(60)] * 6 + [turned(-60)] * 4)[None]
    manifest = Manifest(1, "made", layout.name, ("a", "b"), {}, {}, (), "", {})
    clips = ClipSet.of(
        manifest, [Clip(str(n), 0, 0, 0, 0, each) for n, each in enumerate((steady, flipping))]
    )
    angles = {}
    for align_by in ("shoulders", "torso"):
        turn = normalise.measure_normalisation(clips, layout, True, False, align_by).turn_ncc
        assert turn is not None
        angles[align_by] = torch.rad2deg(torch.atan2(turn[:, 0, 2], turn[:, 0, 0])).tolist()
    assert angles["shoulders"][0] == pytest.approx(angles["torso"][0], abs=1e-3)
    assert abs(angles["shoulders"][0]) == pytest.approx(30, abs=1e-3)
    assert abs(angles["torso"][1]) < 0.5 * abs(angles["shoulders"][1])
