"""Clips that cannot be trained on are named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_stores import make_clip, write

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.clips import Clip, Video, check_clip
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.store.writing import StoreDescription


def with_nan() -> Clip:
    clip = make_clip(4, 1, 3)
    clip.joints[0, 1, 5, 2] = np.nan
    return clip


@pytest.mark.parametrize(
    ("clip", "said"),
    [
        (with_nan(), r"clip4 has a NaN .* \(body 0, frame 1, joint left_elbow\)"),
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
def test_clip_that_cannot_be_trained_on_is_named(tmp_path: Path, clip: Clip, said: str) -> None:
    with pytest.raises(InputError, match=said):
        write(tmp_path, [make_clip(0, 1, 5), clip])
    assert not (tmp_path / "manifest.json").exists()


ABOUT = StoreDescription(
    "made",
    get_layout("kinect_v1_20"),
    ("a", "b"),
    {"xview": Protocol({"camera": [1]}, {"camera": [2]})},
    {"made": "here"},
)


def filmed(number: int, images: int = 3) -> Clip:
    random = np.random.default_rng(number)
    frames = int(random.integers(4, 9))
    video = Video(
        tuple(b"JPEG" * int(random.integers(1, 5)) for _ in range(images)),
        np.sort(random.integers(0, frames, images)),
        random.uniform(-0.1, 1.1, (1, images, 20, 2)).astype(np.float32),
    )
    joints = random.normal(size=(1, frames, 20, 3)).astype(np.float32)
    return Clip(f"c{number}", 0, number, 1 + number % 2, 0, joints, video=video)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"images": ()}, "has 0 images"),
        ({"positions": np.array([0, 2, 1])}, "expected rising numbers from 0"),
        ({"positions": np.array([0, 1, 99])}, "images at frames"),
        ({"joints": np.zeros((1, 3, 19, 2), np.float32)}, "image joints of shape"),
    ],
)
def test_video_that_does_not_fit_its_clip_is_refused(spoil: dict[str, object], said: str) -> None:
    clip = filmed(1)
    assert clip.video
    with pytest.raises(InputError, match=said):
        check_clip(replace(clip, video=replace(clip.video, **spoil)), ABOUT.layout, 2)
