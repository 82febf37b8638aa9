"""Clips that cannot be trained on are named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from built_stores import DESCRIPTION, make_video_clip
from made_stores import make_clip, make_clip_with_nan, write_small_store

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Clip, check_clip
from hhmnet_core.store.reading import load_clips


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (make_clip_with_nan(), r"clip4 has a NaN .* \(body 0, frame 1, joint left_elbow\)"),
        (make_clip(4, 1, 3, label=3), "clip4 has label 3, but there are 3 classes"),
        (make_clip(4, 1, 3, label=-1), "clip4 has label -1"),
        (make_clip(4, 1, 0), "clip4 is empty"),
        (make_clip(4, 0, 3), "clip4 is empty"),
        (make_clip(4, 1, 3, joints=np.zeros((1, 3, 25, 3), np.float32)), "clip4 has 25 joints"),
        (make_clip(4, 1, 3, joints=np.zeros((1, 3, 20, 2), np.float32)), "20 joints of 2 channels"),
        (make_clip(4, 1, 3, joints=np.zeros((3, 20, 3), np.float32)), "clip4 has joints of shape"),
        (make_clip(4, 1, 3, joints=np.zeros((1, 3, 20, 3))), "float64"),
        (make_clip(4, 1, 3, sample_id="clip0"), "clip0 occurs twice"),
    ],
)
def test_clip_that_cannot_be_trained_on_is_named(tmp_path: Path, clip: Clip, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_small_store(tmp_path, [make_clip(0, 1, 5), clip])
    assert not (tmp_path / "manifest.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": ()}, "has 0 images"),
        ({"positions": np.array([0, 2, 1])}, "expected rising numbers from 0"),
        ({"positions": np.array([0, 1, 99])}, "images at frames"),
        ({"joints": np.zeros((1, 3, 19, 2), np.float32)}, "image joints of shape"),
    ],
)
def test_video_that_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    clip = make_video_clip(1)
    assert clip.video
    with pytest.raises(InputError, match=message):
        check_clip(replace(clip, video=replace(clip.video, **changes)), DESCRIPTION.layout, 2)


def test_clip_of_a_set_is_a_view(tmp_path: Path) -> None:
    write_small_store(tmp_path / "store")
    clips = load_clips(tmp_path / "store", tmp_path / "cache")
    clip = clips.clip(1)
    assert len(clips) == 20 and clip.joints.shape == (2, 7, 20, 3)
    assert np.shares_memory(clip.joints, clips.frames)
