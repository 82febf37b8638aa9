"""Small ragged clips, and stores of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hhmnet_core.store.clips import Clip, ClipSet
from hhmnet_core.store.reading import Manifest, Protocol
from hhmnet_core.store.writing import write_store

SHAPES = ((1, 1), (2, 7), (1, 40), (2, 1), (1, 3))  # bodies, frames


def make_clip(number: int, bodies: int, frames: int, **changes: Any) -> Clip:
    joints = np.random.default_rng(number).normal(size=(bodies, frames, 20, 3)).astype(np.float32)
    clip = Clip(f"clip{number}", number % 3, 1 + number % 6, 1 + number % 2, number, joints)
    return replace(clip, **changes)


def make_clips(num_clips: int = 20) -> list[Clip]:
    return [make_clip(number, *SHAPES[number % len(SHAPES)]) for number in range(num_clips)]


def write(
    uri: str | Path, clips: list[Clip] | Iterator[Clip] | None = None, **changes: Any
) -> Manifest:
    settings: dict[str, Any] = {
        "dataset": "made",
        "layout": "kinect_v1_20",
        "class_names": ("a", "b", "c"),
        "protocols": {"xview": Protocol({"camera": [1]}, {"camera": [2]})},
        "source": {"made": "here"},
        "shard_bytes": 20_000,
    }
    return write_store(uri, make_clips() if clips is None else clips, **(settings | changes))


def assert_same(clips: ClipSet, expected: list[Clip]) -> None:
    assert len(clips) == len(expected)
    for index, clip in enumerate(expected):
        read = clips.clip(index)
        np.testing.assert_array_equal(read.joints, clip.joints)
        assert replace(read, joints=clip.joints) == clip
