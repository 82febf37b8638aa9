"""The clip store: what goes in comes out, and damage is named."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stores import SHAPES, assert_same, make_clip, make_clips, write

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Clip
from hhmnet_core.store.reading import (
    Protocol,
    load_clips,
    read_manifest,
    store_facts,
    verify_store,
)


def test_round_trip_keeps_ragged_clips_and_bodies(tmp_path: Path) -> None:
    manifest = write(tmp_path / "store")
    clips = load_clips(tmp_path / "store", tmp_path / "cache")
    assert len(manifest.shards) > 2
    assert clips.manifest == manifest == read_manifest(tmp_path / "store")
    assert_same(clips, make_clips())
    assert clips.frames.shape == (sum(b * t for b, t in SHAPES) * 4, 20, 3)
    assert clips.labels.dtype == clips.first_frame.dtype == np.int64


@settings(max_examples=15)
@given(shapes=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 9)), min_size=1, max_size=8))
def test_round_trip_of_any_shapes(
    shapes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    expected = [make_clip(number, *shape) for number, shape in enumerate(shapes)]
    write(folder / "store", expected)
    assert_same(load_clips(folder / "store", folder / "cache"), expected)


def test_same_clips_give_the_same_bytes_and_digest(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one"), write(tmp_path / "two")
    assert one == two
    for shard in one.shards:
        assert (tmp_path / "one" / shard.name).read_bytes() == (
            tmp_path / "two" / shard.name
        ).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ("a", "b", "d")},
        {"protocols": {"xview": Protocol({"camera": [2]}, {"camera": [1]})}},
        {"clips": make_clips(19)},
    ],
)
def test_what_decides_a_result_changes_the_digest(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert write(tmp_path / "one").digest != write(tmp_path / "two", **changes).digest


def test_what_decides_nothing_leaves_the_digest(tmp_path: Path) -> None:
    other = write(tmp_path / "two", source={"made": "there"}, dataset="renamed")
    assert write(tmp_path / "one").digest == other.digest


def test_facts_are_those_of_the_clips(tmp_path: Path) -> None:
    write(tmp_path)
    facts = store_facts(tmp_path)
    assert facts["num_bodies"].tolist() == [clip.joints.shape[0] for clip in make_clips()]
    assert facts["subject"].tolist() == [clip.subject for clip in make_clips()]


def test_memory_uri_works(tmp_path: Path) -> None:
    write("memory://stores/one")
    assert_same(load_clips("memory://stores/one", tmp_path), make_clips())
    assert verify_store("memory://stores/one").num_clips == 20


def test_clips_are_streamed_not_gathered(tmp_path: Path) -> None:
    store = tmp_path / "store"

    def clips() -> Iterator[Clip]:
        for number in range(20):
            if number == 15:
                assert (store / "clips-00000.parquet").exists()
                assert not (store / "manifest.json").exists()
            yield make_clip(number, 1, 10)

    write(store, clips())


def test_half_written_store_is_none_and_is_made_again(tmp_path: Path) -> None:
    write(tmp_path, shard_bytes=5_000)

    def broken() -> Iterator[Clip]:
        yield from make_clips(10)
        raise RuntimeError("pulled the plug")

    with pytest.raises(RuntimeError):
        write(tmp_path, broken())
    with pytest.raises(InputError, match="no clip store at"):
        read_manifest(tmp_path)
    manifest = write(tmp_path)
    assert verify_store(tmp_path) == manifest
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"manifest.json", *(shard.name for shard in manifest.shards)}


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{not json", "is not JSON"),
        ("[]", "no schema_version"),
        ('{"schema_version": 99}', "schema version 99, newer than the 1"),
        ('{"schema_version": 1}', "lacks or spoils a field"),
    ],
)
def test_spoilt_manifest_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_clips(tmp_path, tmp_path / "cache")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_edited_manifest_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    file = tmp_path / "manifest.json"
    fields = json.loads(file.read_text())
    fields["class_names"][0] = "other"
    file.write_text(json.dumps(fields))
    with pytest.raises(InputError, match="was edited"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("", "empty location"),
        ("nowhere/at/all", "no clip store at nowhere/at/all"),
        ("quux://bucket/store", "Protocol not known"),
    ],
)
def test_missing_store_is_one_line(uri: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_clips(uri)


def test_store_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot .* place that you may write to|Cannot list"):
        write(tmp_path / "file" / "store")


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


def test_no_clips_make_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clips to write"):
        write(tmp_path, [])


@pytest.fixture
def s3_store(s3_bucket: str) -> str:
    return f"{s3_bucket}/stores/made"


def test_s3_store_is_written_read_and_its_damage_named(s3_store: str, tmp_path: Path) -> None:
    manifest = write(s3_store)
    assert_same(load_clips(s3_store, tmp_path), make_clips())
    assert verify_store(s3_store) == manifest == write(tmp_path / "local")
    assert store_facts(s3_store)["label"].tolist() == [clip.label for clip in make_clips()]
    bucket, name = fsspec.filesystem("s3"), manifest.shards[1].name
    content = bytearray(bucket.cat_file(f"{s3_store}/{name}"))
    content[100] ^= 1
    bucket.pipe_file(f"{s3_store}/{name}", bytes(content))
    with pytest.raises(InputError, match=f"{name} of the store {s3_store} is damaged"):
        load_clips(s3_store, tmp_path)
    with pytest.raises(InputError, match="no clip store at s3://bucket/elsewhere"):
        load_clips("s3://bucket/elsewhere", tmp_path)
    with pytest.raises(InputError, match=r"Cannot write .* in s3://no-such-bucket"):
        write("s3://no-such-bucket/store")
