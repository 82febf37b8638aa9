"""Small ragged clips, and stores of clips that are at hand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hhmnet_core.files import folder
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.clips import Clip, ClipSet, check_clip
from hhmnet_core.store.manifest import FIELDS, Manifest, Protocol, Shard
from hhmnet_core.store.reading import Uri
from hhmnet_core.store.shards import shard_name, write_shard
from hhmnet_core.store.writing import StoreDescription, remove_manifest, write_manifest

SHAPES = ((1, 1), (2, 7), (1, 40), (2, 1), (1, 3))  # bodies, frames


def make_clip(number: int, bodies: int, frames: int, **changes: Any) -> Clip:
    joints = np.random.default_rng(number).normal(size=(bodies, frames, 20, 3)).astype(np.float32)
    clip = Clip(f"clip{number}", number % 3, 1 + number % 6, 1 + number % 2, number, joints)
    return replace(clip, **changes)


def make_clips(num_clips: int = 20) -> list[Clip]:
    return [make_clip(number, *SHAPES[number % len(SHAPES)]) for number in range(num_clips)]


def make_clip_with_nan() -> Clip:
    clip = make_clip(4, 1, 3)
    clip.joints[0, 1, 5, 2] = np.nan
    return clip


def write_store(
    uri: Uri,
    clips: Iterable[Clip],
    *,
    dataset: str,
    layout: str,
    class_names: Sequence[str],
    protocols: Mapping[str, Protocol],
    source: Mapping[str, str],
    shard_bytes: int = 64 << 20,
) -> Manifest:
    """Write a store of checked clips, with one shard of them in memory at a time.

    `shard_bytes` limits the joints in a shard, before compression.
    """
    store = folder(uri)
    remove_manifest(store)
    description = StoreDescription(
        dataset, get_layout(layout), tuple(class_names), protocols, source
    )
    shards: list[Shard] = []
    sample_ids: list[str] = []
    groups: dict[str, list[int]] = {name: [] for name in FIELDS}
    for number, shard_clips in enumerate(_by_size(clips, shard_bytes)):
        for clip in shard_clips:
            check_clip(clip, description.layout, len(class_names))
            sample_ids.append(clip.sample_id)
            for name, values in groups.items():
                values.append(getattr(clip, name))
        shards.append(write_shard(store, shard_name(number), shard_clips))
    return write_manifest(store, description, tuple(shards), sample_ids, groups, {})


def _by_size(clips: Iterable[Clip], most_bytes: int) -> Iterator[list[Clip]]:
    shard_clips: list[Clip] = []
    size = 0
    for clip in clips:
        if shard_clips and size + clip.joints.nbytes > most_bytes:
            yield shard_clips
            shard_clips, size = [], 0
        shard_clips.append(clip)
        size += clip.joints.nbytes
    if shard_clips:
        yield shard_clips


def write_small_store(
    uri: str | Path, clips: Iterable[Clip] | None = None, **changes: Any
) -> Manifest:
    """Write a store of `make_clips()`, or of other clips, in several shards."""
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
