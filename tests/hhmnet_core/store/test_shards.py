"""Shards: equal bytes for equal clips, damage that is named, columns that others wrote."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_stores import make_clip, write

from hhmnet_core.errors import InputError
from hhmnet_core.files import Folder, folder
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
from hhmnet_core.store.reading import (
    load_clips,
    store_facts,
    verify_store,
)
from hhmnet_core.store.shards import decode_shard, read_shard
from hhmnet_core.store.writing import StoreDescription, remove_manifest


def test_same_clips_give_the_same_bytes_and_digest(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    assert one == two
    for shard in one.shards:
        assert (tmp_path / "one" / shard.name).read_bytes() == (
            tmp_path / "two" / shard.name
        ).read_bytes()


@pytest.mark.parametrize("number", [0, 1, -1])
def test_one_flipped_byte_names_the_shard(tmp_path: Path, number: int) -> None:
    manifest = write(tmp_path / "store")
    shard = manifest.shards[number]
    file = tmp_path / "store" / shard.name
    # Loaded before: a good copy in the cache must not hide the damage.
    load_clips(tmp_path / "store", tmp_path / "cache")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    said = f"{shard.name} of the store {tmp_path / 'store'} is damaged"
    for cache in ("cache", "fresh"):
        with pytest.raises(InputError, match=said):
            load_clips(tmp_path / "store", tmp_path / cache)
    with pytest.raises(InputError, match=said):
        verify_store(tmp_path / "store")
    assert not list((tmp_path / "fresh").glob("*.arrow"))


def test_missing_or_cut_shard_is_named(tmp_path: Path) -> None:
    manifest = write(tmp_path / "store")
    file = tmp_path / "store" / manifest.shards[1].name
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InputError, match=rf"{file.name} .* is damaged \(\d+ bytes, expected"):
        load_clips(tmp_path / "store", tmp_path / "cache")
    file.unlink()
    for read in (verify_store, store_facts, lambda uri: load_clips(uri, tmp_path / "cache")):
        with pytest.raises(InputError, match=f"{file.name} .* is missing"):
            read(tmp_path / "store")


def with_nan() -> Clip:
    clip = make_clip(4, 1, 3)
    clip.joints[0, 1, 5, 2] = np.nan
    return clip


def test_store_written_by_others_is_held_to_the_same_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hhmnet_core.store.writing.check_clip", lambda *_: None)
    write(tmp_path / "nan", [with_nan()])
    with pytest.raises(InputError, match="clip4 has a NaN"):
        load_clips(tmp_path / "nan", tmp_path / "cache")
    write(tmp_path / "layout", layout="kinect_v2_25")
    with pytest.raises(InputError, match=r"clip0 holds 60 coordinates.* kinect_v2_25 have 75"):
        load_clips(tmp_path / "layout", tmp_path / "cache")


def write_by_hand(store: Path, **changes: Any) -> None:
    """A store written from docs/data.md alone."""
    columns = {
        "sample_id": ["one", "two"],
        "label": [0, 1],
        "subject": [1, 2],
        "camera": [1, 2],
        "setup": [0, 0],
        "num_frames": [1, 2],
        "num_bodies": [2, 1],
        "joints": [[0.5] * 120, [0.25] * 120],
    }
    store.mkdir()
    pq.write_table(pa.table(columns | changes), store / "any-name.parquet", row_group_size=1)
    content = (store / "any-name.parquet").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    decisive = {
        "schema_version": 1,
        "layout": "kinect_v1_20",
        "class_names": ["a", "b"],
        "protocols": {"p": {"train": {"camera": [1]}, "test": {"camera": [2]}}},
    }
    text = json.dumps(decisive | {"shards": [sha256]}, sort_keys=True, separators=(",", ":"))
    shard = {"name": "any-name.parquet", "sha256": sha256, "bytes": len(content), "num_clips": 2}
    manifest = decisive | {
        "dataset": "by hand",
        "counts": {"p": {"train": 1, "val": 0, "test": 1}},
        "shards": [shard],
        "digest": hashlib.sha256(text.encode()).hexdigest(),
        "source": {},
    }
    (store / "manifest.json").write_text(json.dumps(manifest))


def test_store_written_by_hand_is_read(tmp_path: Path) -> None:
    write_by_hand(tmp_path / "store")
    clips = load_clips(tmp_path / "store", tmp_path / "cache")
    assert clips.clip(0).joints.shape == (2, 1, 20, 3)
    assert (clips.clip(1).joints == 0.25).all()
    assert clips.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"joints": [[0.5] * 120, [None] * 120]}, "does not hold a clip store's columns"),
        ({"joints": [[0.5] * 120, None]}, "does not hold a clip store's columns"),
        ({"joints": [["a"], ["b"]]}, "does not hold a clip store's columns"),
        ({"label": [0, None]}, "does not hold a clip store's columns"),
        ({"joints": [[0.5] * 120, [0.5] * 119]}, "Clip two holds 119 coordinates"),
        ({"num_frames": [1, 0]}, "Clip two holds 120 coordinates, but 1 bodies of 0 frames"),
    ],
)
def test_store_written_wrongly_by_hand_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    write_by_hand(tmp_path / "store", **changes)
    with pytest.raises(InputError, match=said):
        load_clips(tmp_path / "store", tmp_path / "cache")


ABOUT = StoreDescription(
    "made",
    get_layout("kinect_v1_20"),
    ("a", "b"),
    {"xview": Protocol({"camera": [1]}, {"camera": [2]})},
    {"made": "here"},
)


class Recordings:
    """Ten recordings; those of `bad` cannot be read. Remembers what was read."""

    def __init__(self, bad: Sequence[str] = (), pixels: bool = False) -> None:
        self.names = [f"file{number}" for number in range(10)]
        self.bad, self.pixels = set(bad), pixels
        self.read: list[str] = []

    def clip(self, name: str) -> Clip:
        self.read.append(name)
        if name in self.bad:
            raise InputError(f"{name} is spoilt: get it again.")
        number = int(name[4:])
        random = np.random.default_rng(number)
        joints = random.normal(size=(1 + number % 2, 3 + number, 20, 3)).astype(np.float32)
        pixels = (joints[..., :2] * 100).astype(np.float32) if self.pixels else None
        if pixels is not None:
            pixels[0, 0] = np.nan
        clip = Clip(f"clip{number}", number % 2, 1 + number % 3, 1 + number % 2, 7, joints, pixels)
        return replace(clip, dropped={"frames": number})


def plan(recordings: Recordings, about: StoreDescription = ABOUT) -> StorePlan:
    return StorePlan(about, tuple(recordings.names), shard_clips=4)


def build(
    place: Folder,
    recordings: Recordings,
    order: Sequence[int] = (0, 1, 2),
    on_error: OnError = "fail",
    absent: dict[str, str] | None = None,
) -> Manifest:
    todo = plan(recordings)
    remove_manifest(place)
    parts = finished_shards(place, todo)
    for number in order:
        if number not in parts:
            parts[number] = build_shard(place, todo, recordings, number, on_error)
    return finish_store(place, todo, [parts[n] for n in range(todo.num_shards)], absent or {})


def test_pixels_come_back_where_they_are_asked_for(tmp_path: Path) -> None:
    recordings = Recordings(pixels=True)
    manifest = build(folder(tmp_path), recordings)
    content = read_shard(folder(tmp_path), manifest.shards[1])
    for asked in (True, False):
        clips = list(decode_shard(content, manifest.shards[1], manifest, "store", pixels=asked))
        for clip, name in zip(clips, recordings.names[4:8], strict=True):
            expected = recordings.clip(name)
            np.testing.assert_array_equal(clip.joints, expected.joints)
            if asked:
                assert clip.pixels is not None and expected.pixels is not None
                np.testing.assert_array_equal(clip.pixels, expected.pixels)
            else:
                assert clip.pixels is None
    assert len(load_clips(tmp_path, tmp_path / "cache")) == 10


def test_pixels_are_checked(tmp_path: Path) -> None:
    class Halves(Recordings):
        def clip(self, name: str) -> Clip:
            clip = super().clip(name)
            return replace(clip, pixels=None) if name == "file2" else clip

    with pytest.raises(InputError, match="clip2 has no pixels, but others do"):
        build(folder(tmp_path), Halves(pixels=True))

    class Wrong(Recordings):
        def clip(self, name: str) -> Clip:
            clip = super().clip(name)
            assert clip.pixels is not None
            return replace(clip, pixels=clip.pixels[:, :, :19])

    with pytest.raises(InputError, match=r"clip0 has pixels of shape .*19, 2.*as its joints"):
        build(folder(tmp_path), Wrong(pixels=True))

    class Infinite(Recordings):
        def clip(self, name: str) -> Clip:
            clip = super().clip(name)
            assert clip.pixels is not None
            clip.pixels[0, 1, 2] = np.inf
            return clip

    with pytest.raises(InputError, match="clip0 has infinite pixels: expected NaN"):
        build(folder(tmp_path), Infinite(pixels=True))


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


class Films:
    """Clips with video, but for those of `without`."""

    def __init__(self, without: Sequence[int] = ()) -> None:
        self.names = [str(number) for number in range(7)]
        self.without = set(without)

    def clip(self, name: str) -> Clip:
        clip = filmed(int(name))
        if int(name) in self.without:
            return replace(clip, video=None, no_video="not found")
        return clip


def make_films(place: Folder, source: Films) -> Manifest:
    plan = StorePlan(replace(ABOUT, visual=Visual("rgb", 3, 32)), tuple(source.names), 3)
    parts = [build_shard(place, plan, source, n, "fail") for n in range(plan.num_shards)]
    return finish_store(place, plan, parts, {})


def test_videos_come_back_as_they_were_and_only_when_asked_for(tmp_path: Path) -> None:
    place = folder(tmp_path)
    manifest = make_films(place, Films(without=[1, 6]))  # the last shard has none at all
    for wanted in (True, False):
        clips = [
            clip
            for shard in manifest.shards
            for clip in decode_shard(
                read_shard(place, shard), shard, manifest, place.uri, video=wanted
            )
        ]
        assert [clip.sample_id for clip in clips] == [f"c{n}" for n in range(7)]
        for number, clip in enumerate(clips):
            if not wanted or number in (1, 6):
                assert clip.video is None
                continue
            expected = filmed(number).video
            assert clip.video and expected and clip.video.images == expected.images
            np.testing.assert_array_equal(clip.video.positions, expected.positions)
            np.testing.assert_array_equal(clip.video.joints, expected.joints)
    assert len(load_clips(tmp_path, tmp_path / "cache")) == 7
