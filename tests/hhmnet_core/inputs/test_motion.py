"""Frames by motion against a plain NumPy version, one clip at a time."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hhmnet_core.deploy.export_check import make_clip
from hhmnet_core.errors import InputError
from hhmnet_core.inputs import normalise
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.motion import Motion, frames_by_motion, share_passed
from hhmnet_core.skeleton.augment import frame_positions
from hhmnet_core.skeleton.layouts import LAYOUTS
from hhmnet_core.store.clips import Clip, ClipSet
from hhmnet_core.store.manifest import Manifest

LAYOUT = LAYOUTS["kinect_v1_20"]
SHAPES = [(1, 40), (2, 17), (1, 1), (3, 9), (1, 2), (2, 3), (1, 120)]


def clip_set(clips: list[np.ndarray]) -> ClipSet:
    manifest = Manifest(1, "made", LAYOUT.name, ("a",), {}, {}, (), "", {})
    return ClipSet.of(manifest, [Clip(str(n), 0, 0, 0, 0, each) for n, each in enumerate(clips)])


def frames_of(clip: NDArray[np.float32], positions: np.ndarray, share: float) -> np.ndarray:
    """Return frames at positions: bodies smoothed over five frames, speeds summed, inverted."""
    joints = clip.astype(np.float64)
    frames = joints.shape[1]
    if frames == 1:
        return np.zeros(len(positions))
    speed = np.zeros(frames - 1)
    for body in joints:
        padded = np.concatenate([body[:1], body[:1], body, body[-1:], body[-1:]])
        smooth = np.stack([padded[t : t + 5].mean(0) for t in range(frames)])
        moved = np.linalg.norm(np.diff(smooth, axis=0), axis=2).mean(1)
        seen = body.reshape(frames, -1).any(1)
        for t in range(frames - 1):
            if seen[max(t - 2, 0)] and seen[min(t + 3, frames - 1)]:
                speed[t] += moved[t]
    clock = np.arange(frames)
    passed = np.concatenate([[0], np.cumsum(speed)]) / speed.sum() if speed.any() else clock * 0
    count = (1 - share) * clock + share * passed * (frames - 1) if speed.any() else clock
    return np.interp(positions, count, clock)


@pytest.mark.parametrize("chunk", [1 << 16, 50])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.98])
def test_frames_equal_those_of_a_clip_at_a_time(
    share: float, chunk: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalise, "CHUNK_FRAMES", chunk)
    random = np.random.default_rng(seed)
    clips = [make_clip(LAYOUT, *shape, random) for shape in SHAPES]
    chosen = torch.tensor([6, 0, 1, 1, 2, 3, 4, 5])
    lengths = torch.tensor([clips[n].shape[1] for n in chosen])
    positions = torch.rand(len(chosen), 16).sort(1).values * (lengths - 1)[:, None]
    positions[:, 0], positions[:, -1] = 0, lengths - 1
    found = Motion(clip_set(clips)).frames_at(chosen, positions, torch.full((8,), share))
    for row, n in enumerate(chosen):
        expected = frames_of(clips[n], positions[row].numpy(), share)
        np.testing.assert_allclose(found[row], expected, atol=1e-3)
        assert found[row, -1] == lengths[row] - 1 and found[row, 0] == 0


def test_motion_alone_passes_over_what_rests() -> None:
    """Ten frames at rest, ten of even movement, ten at rest: only the movement counts."""
    passed = torch.cat([torch.zeros(10), torch.linspace(0, 1, 11), torch.ones(9)])[None]
    positions = torch.tensor([[0.0, 14.5, 29]])
    found = frames_by_motion(passed, torch.tensor([30]), positions, 1.0)
    np.testing.assert_allclose(found[:, :2], [[10, 15]], atol=1e-4)
    assert 20 <= found[0, 2] <= 29  # at rest: one frame is as good as the next
    half = frames_by_motion(passed, torch.tensor([30]), positions, 0.5)
    np.testing.assert_allclose(half, [[0, 15 - 0.5 / 3.9, 29]], atol=1e-4)


def test_a_clip_at_rest_is_read_by_the_clock() -> None:
    lengths = torch.tensor([5, 1, 3])
    passed = share_passed(torch.zeros(3, 5), lengths)
    positions = frame_positions(lengths, 9)
    for share in (0.5, 1.0):
        torch.testing.assert_close(
            frames_by_motion(passed, lengths, positions, share), positions, rtol=0, atol=1e-6
        )


def test_a_body_that_comes_or_goes_does_not_move(seed: int) -> None:
    clip = make_clip(LAYOUT, 2, 40, np.random.default_rng(seed))
    clip[1] = 3.0
    clip[1, 20:] = 0
    alone, both = (Motion(clip_set([each])) for each in (clip[:1], clip))
    first, positions, share = torch.tensor([0]), torch.rand(1, 8) * 39, torch.tensor([0.7])
    torch.testing.assert_close(
        both.frames_at(first, positions, share), alone.frames_at(first, positions, share)
    )


def test_where_the_camera_stands_and_how_large_people_are_changes_nothing(seed: int) -> None:
    clip = make_clip(LAYOUT, 1, 60, np.random.default_rng(seed))
    moved = (clip @ np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0] * 3 + 2) * (
        clip != 0
    ).any((2, 3), keepdims=True)
    first, positions, share = torch.tensor([0]), torch.rand(1, 8) * 59, torch.tensor([0.7])
    here, there = (
        Motion(clip_set([each.astype(np.float32)])).frames_at(first, positions, share)
        for each in (clip, moved)
    )
    torch.testing.assert_close(here, there, rtol=0, atol=1e-3)


def test_clips_are_scored_at_frames_by_motion(tiny_clips: ClipSet) -> None:
    chosen = torch.tensor([7, 5, 0, 53])
    reader = BatchReader(tiny_clips, DataConfig(frames=16, motion_share=0.5), torch.device("cpu"))
    even = frame_positions(reader.num_frames(chosen), 16)
    expected = np.stack(
        [
            frames_of(tiny_clips.clip(int(n)).joints, even[row].numpy(), 0.5)
            for row, n in enumerate(chosen)
        ]
    )
    np.testing.assert_allclose(reader.scored_positions(chosen), expected, atol=1e-3)
    read = reader.read(reader.plan(chosen, torch.tensor(expected, dtype=torch.float32)))
    torch.testing.assert_close(
        reader.view(chosen).joints_nctvm, read.joints_nctvm, rtol=0, atol=1e-3
    )
    assert not np.allclose(expected, even, atol=0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"motion_share": -0.1}, r"data\.motion_share must be in \[0, 1\], but is -0\.1"),
        ({"motion_share": 1.1}, r"data\.motion_share must be in \[0, 1\], but is 1\.1"),
        ({"motion_share": 0.5, "whole_frames": True}, "reads positions between frames"),
    ],
)
def test_shares_that_mean_nothing_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DataConfig(**fields)  # type: ignore[arg-type]
