"""Shards: equal bytes for equal clips, damage that is named, columns that others wrote."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from built_stores import Recordings, build_store, build_video_store, make_video_clip
from made_stores import make_clip_with_nan, make_clips, write_small_store

from hhmnet_core.checks import memory
from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.reading import load_clips, store_facts, verify_store
from hhmnet_core.store.shards import decode_shard, read_shard, shard_name, write_shard


def test_shard_is_written_with_its_entry_for_the_manifest(tmp_path: Path) -> None:
    shard = write_shard(folder(tmp_path), shard_name(7), make_clips(3))
    content = (tmp_path / "clips-00007.parquet").read_bytes()
    assert (shard.name, shard.num_clips, shard.bytes) == ("clips-00007.parquet", 3, len(content))
    assert shard.sha256 == hashlib.sha256(content).hexdigest()
    assert read_shard(folder(tmp_path), shard) == content


def test_same_clips_give_the_same_bytes_and_digest(tmp_path: Path) -> None:
    one, two = write_small_store(tmp_path / "one"), write_small_store(tmp_path / "two")
    assert one == two
    for shard in one.shards:
        assert (tmp_path / "one" / shard.name).read_bytes() == (
            tmp_path / "two" / shard.name
        ).read_bytes()


@pytest.mark.parametrize("number", [0, 1, -1])
def test_one_flipped_byte_names_the_shard(tmp_path: Path, number: int) -> None:
    manifest = write_small_store(tmp_path / "store")
    shard = manifest.shards[number]
    file = tmp_path / "store" / shard.name
    # Loaded first, because a sound copy in the cache must not hide the damage.
    load_clips(tmp_path / "store", tmp_path / "cache")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    message = f"{shard.name} of the store {tmp_path / 'store'} is damaged"
    for cache in ("cache", "fresh"):
        with pytest.raises(InputError, match=message):
            load_clips(tmp_path / "store", tmp_path / cache)
    with pytest.raises(InputError, match=message):
        verify_store(tmp_path / "store")
    assert not list((tmp_path / "fresh").glob("*.arrow"))


def test_missing_or_cut_shard_is_named(tmp_path: Path) -> None:
    manifest = write_small_store(tmp_path / "store")
    file = tmp_path / "store" / manifest.shards[1].name
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InputError, match=rf"{file.name} .* is damaged \(\d+ bytes, expected"):
        load_clips(tmp_path / "store", tmp_path / "cache")
    file.unlink()
    for read in (verify_store, store_facts, lambda uri: load_clips(uri, tmp_path / "cache")):
        with pytest.raises(InputError, match=f"{file.name} .* is missing"):
            read(tmp_path / "store")


def test_store_written_by_others_is_checked_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("made_stores.check_clip", lambda *_: None)
    write_small_store(tmp_path / "nan", [make_clip_with_nan()])
    with pytest.raises(InputError, match="clip4 has a NaN"):
        load_clips(tmp_path / "nan", tmp_path / "cache")
    write_small_store(tmp_path / "layout", layout="kinect_v2_25")
    with pytest.raises(InputError, match=r"clip0 holds 60 coordinates.* kinect_v2_25 have 75"):
        load_clips(tmp_path / "layout", tmp_path / "cache")


def write_by_hand(store: Path, **changes: Any) -> None:
    """Write a store by the format in docs/data.md, without this project's code."""
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
    ("changes", "message"),
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
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_by_hand(tmp_path / "store", **changes)
    with pytest.raises(InputError, match=message):
        load_clips(tmp_path / "store", tmp_path / "cache")


def test_shard_beyond_the_limit_of_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column of equal numbers, of 8 MB in memory, has a few kilobytes in the file."""
    write_by_hand(tmp_path / "store", joints=[[0.5] * 1_000_000] * 2)
    monkeypatch.setattr(memory, "MAX_FILE_MEMORY", 5_000_000)
    assert (tmp_path / "store" / "any-name.parquet").stat().st_size < 100_000
    for read in (lambda uri: load_clips(uri, tmp_path / "cache"), store_facts):
        with pytest.raises(InputError, match=r"any-name.parquet of .* would need 0\.0 GB"):
            read(tmp_path / "store")


def test_pixels_are_read_on_request(tmp_path: Path) -> None:
    recordings = Recordings(pixels=True)
    manifest = build_store(folder(tmp_path), recordings)
    content = read_shard(folder(tmp_path), manifest.shards[1])
    for pixels in (True, False):
        clips = list(decode_shard(content, manifest.shards[1], manifest, "store", pixels=pixels))
        for clip, name in zip(clips, recordings.names[4:8], strict=True):
            expected = recordings.clip(name)
            np.testing.assert_array_equal(clip.joints, expected.joints)
            if pixels:
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
        build_store(folder(tmp_path), Halves(pixels=True))

    class Wrong(Recordings):
        def clip(self, name: str) -> Clip:
            clip = super().clip(name)
            assert clip.pixels is not None
            return replace(clip, pixels=clip.pixels[:, :, :19])

    with pytest.raises(InputError, match=r"clip0 has pixels of shape .*19, 2.*as its joints"):
        build_store(folder(tmp_path), Wrong(pixels=True))

    class Infinite(Recordings):
        def clip(self, name: str) -> Clip:
            clip = super().clip(name)
            assert clip.pixels is not None
            clip.pixels[0, 1, 2] = np.inf
            return clip

    with pytest.raises(InputError, match="clip0 has infinite pixels: expected NaN"):
        build_store(folder(tmp_path), Infinite(pixels=True))


def test_videos_are_read_unchanged_and_on_request(tmp_path: Path) -> None:
    store = folder(tmp_path)
    manifest = build_video_store(store, without=[1, 6])  # the last shard has none at all
    for video in (True, False):
        clips = [
            clip
            for shard in manifest.shards
            for clip in decode_shard(
                read_shard(store, shard), shard, manifest, store.uri, video=video
            )
        ]
        assert [clip.sample_id for clip in clips] == [f"c{n}" for n in range(7)]
        for number, clip in enumerate(clips):
            if not video or number in (1, 6):
                assert clip.video is None
                continue
            expected = make_video_clip(number).video
            assert clip.video and expected and clip.video.images == expected.images
            np.testing.assert_array_equal(clip.video.positions, expected.positions)
            np.testing.assert_array_equal(clip.video.joints, expected.joints)
    assert len(load_clips(tmp_path, tmp_path / "cache")) == 7


def test_marks_of_missing_joints_come_back(tmp_path: Path) -> None:
    clips, random = make_clips(), np.random.default_rng(0)
    plain = write_small_store(tmp_path / "plain", clips)
    marked = [
        replace(clip, missing=random.random(clip.joints.shape[:3]) < 0.2) if number % 3 else clip
        for number, clip in enumerate(clips)
    ]
    write_small_store(tmp_path / "marked", marked)
    for _ in range(2):  # from the store, and from the node's file
        loaded = load_clips(tmp_path / "marked", tmp_path / "cache")
        for number, clip in enumerate(marked):
            expected = clip.missing
            if expected is None:
                expected = np.zeros(clip.joints.shape[:3], bool)
            found = loaded.clip(number).missing
            assert found is not None
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(loaded.clip(number).joints, clip.joints)
    whole = load_clips(tmp_path / "plain", tmp_path / "cache")
    assert whole.missing is None and whole.clip(0).missing is None
    assert whole.manifest.digest == plain.digest
    assert whole.skeletons != loaded.skeletons  # they decide the normalisation
