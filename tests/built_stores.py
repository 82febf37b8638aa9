"""Small recordings, with pixels and with video, and stores that are built of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.building import (
    OnError,
    StorePlan,
    build_shard,
    finish_store,
    finished_shards,
)
from hhmnet_core.store.clips import Clip, Video
from hhmnet_core.store.manifest import Manifest, Protocol, Visual
from hhmnet_core.store.writing import StoreDescription, remove_manifest

DESCRIPTION = StoreDescription(
    "made",
    get_layout("kinect_v1_20"),
    ("a", "b"),
    {"xview": Protocol({"camera": [1]}, {"camera": [2]})},
    {"made": "here"},
)


class Recordings:
    """Ten recordings, of which those of `bad` cannot be read. `read` lists those that were."""

    def __init__(self, bad: Sequence[str] = (), pixels: bool = False) -> None:
        self.names = [f"file{number}" for number in range(10)]
        self.bad, self.pixels = set(bad), pixels
        self.read: list[str] = []

    def clip(self, name: str) -> Clip:
        self.read.append(name)
        if name in self.bad:
            raise InputError(f"{name} is damaged: get it again.")
        number = int(name[4:])
        random = np.random.default_rng(number)
        joints = random.normal(size=(1 + number % 2, 3 + number, 20, 3)).astype(np.float32)
        pixels = (joints[..., :2] * 100).astype(np.float32) if self.pixels else None
        if pixels is not None:
            pixels[0, 0] = np.nan
        clip = Clip(f"clip{number}", number % 2, 1 + number % 3, 1 + number % 2, 7, joints, pixels)
        return replace(clip, dropped={"frames": number})


def plan_store(recordings: Recordings, description: StoreDescription = DESCRIPTION) -> StorePlan:
    """Return a plan of shards with four recordings each."""
    return StorePlan(description, tuple(recordings.names), shard_clips=4)


def build_store(
    folder: Folder,
    recordings: Recordings,
    order: Sequence[int] = (0, 1, 2),
    on_error: OnError = "fail",
    absent: Mapping[str, str] | None = None,
) -> Manifest:
    """Build the shards that are not complete yet, in an order, and finish the store."""
    plan = plan_store(recordings)
    remove_manifest(folder)
    shards = finished_shards(folder, plan)
    for number in order:
        if number not in shards:
            shards[number] = build_shard(folder, plan, recordings, number, on_error)
    return finish_store(folder, plan, [shards[n] for n in range(plan.num_shards)], absent or {})


def make_video_clip(number: int, images: int = 3) -> Clip:
    random = np.random.default_rng(number)
    frames = int(random.integers(4, 9))
    video = Video(
        tuple(b"JPEG" * int(random.integers(1, 5)) for _ in range(images)),
        np.sort(random.integers(0, frames, images)),
        random.uniform(-0.1, 1.1, (1, images, 20, 2)).astype(np.float32),
    )
    joints = random.normal(size=(1, frames, 20, 3)).astype(np.float32)
    return Clip(f"c{number}", 0, number, 1 + number % 2, 0, joints, video=video)


class VideoRecordings:
    """Seven recordings with video, but for those of `without`."""

    def __init__(self, without: Sequence[int] = ()) -> None:
        self.names = [str(number) for number in range(7)]
        self.without = set(without)

    def clip(self, name: str) -> Clip:
        clip = make_video_clip(int(name))
        if int(name) in self.without:
            return replace(clip, video=None, no_video="not found")
        return clip


def build_video_store(folder: Folder, without: Sequence[int] = ()) -> Manifest:
    """Build a store of `VideoRecordings`."""
    source = VideoRecordings(without)
    description = replace(DESCRIPTION, visual=Visual("rgb", 3, 32))
    plan = StorePlan(description, tuple(source.names), 3)
    shards = [build_shard(folder, plan, source, n, "fail") for n in range(plan.num_shards)]
    return finish_store(folder, plan, shards, {})
