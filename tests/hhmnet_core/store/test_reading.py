"""Reading a clip store: clips come back as they were written, and damage is named."""

from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_stores import SHAPES, assert_same, make_clip, make_clips, write_small_store

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import (
    load_clips,
    read_manifest,
    store_facts,
    verify_store,
)


def test_round_trip_keeps_ragged_clips_and_bodies(tmp_path: Path) -> None:
    manifest = write_small_store(tmp_path / "store")
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
    write_small_store(folder / "store", expected)
    assert_same(load_clips(folder / "store", folder / "cache"), expected)


def test_store_facts_equal_those_of_the_clips(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    facts = store_facts(tmp_path)
    assert facts["num_bodies"].tolist() == [clip.joints.shape[0] for clip in make_clips()]
    assert facts["subject"].tolist() == [clip.subject for clip in make_clips()]


def test_memory_uri_works(tmp_path: Path) -> None:
    write_small_store("memory://stores/one")
    assert_same(load_clips("memory://stores/one", tmp_path), make_clips())
    assert verify_store("memory://stores/one").num_clips == 20


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "empty location"),
        ("nowhere/at/all", "no clip store at nowhere/at/all"),
        ("quux://bucket/store", "Protocol not known"),
    ],
)
def test_missing_store_is_named(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_clips(uri)


@pytest.fixture
def s3_store(s3_bucket: str) -> str:
    return f"{s3_bucket}/stores/made"


def test_s3_store_is_written_read_and_its_damage_named(s3_store: str, tmp_path: Path) -> None:
    manifest = write_small_store(s3_store)
    assert_same(load_clips(s3_store, tmp_path), make_clips())
    assert verify_store(s3_store) == manifest == write_small_store(tmp_path / "local")
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
        write_small_store("s3://no-such-bucket/store")
