"""The manifest of a store: written last, for shards that are complete."""

from dataclasses import replace
from pathlib import Path

import pytest
from built_stores import DESCRIPTION
from made_stores import make_clips, write_small_store

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.store.manifest import Manifest, Visual
from hhmnet_core.store.reading import read_manifest, verify_store
from hhmnet_core.store.shards import shard_name, write_shard
from hhmnet_core.store.writing import StoreDescription, remove_manifest, write_manifest

IDS = ["clip0", "clip1", "clip2"]
GROUPS = {"subject": [1, 2, 3], "camera": [1, 2, 1], "setup": [0, 1, 2]}


def write(path: Path, description: StoreDescription = DESCRIPTION) -> Manifest:
    """Write a store of three clips in one shard."""
    store = folder(path)
    shard = write_shard(store, shard_name(0), make_clips(3))
    return write_manifest(store, description, (shard,), IDS, GROUPS, {"frames": 2})


def test_manifest_holds_the_description_and_counts_clips(tmp_path: Path) -> None:
    description = replace(DESCRIPTION, visual=Visual("rgb", 4, 32, 3))
    manifest = write(tmp_path, description)
    assert read_manifest(tmp_path) == manifest
    assert (manifest.dataset, manifest.class_names) == ("made", ("a", "b"))
    assert (manifest.source, manifest.left_out) == ({"made": "here"}, {"frames": 2})
    assert manifest.visual == description.visual
    # Clips 0 and 2 train, of subjects 1 and 3, of whom the last one is held out.
    assert manifest.counts == {"xview": {"train": 1, "val": 1, "test": 1}}
    assert manifest.num_clips == 3 and manifest.num_bytes == manifest.shards[0].bytes


def test_only_a_layout_that_is_not_built_in_is_kept_in_full(tmp_path: Path) -> None:
    assert write(tmp_path / "built-in").own_layout is None
    own = replace(get_layout("kinect_v1_20"), name="mine")
    write(tmp_path / "own", replace(DESCRIPTION, layout=own))
    manifest = read_manifest(tmp_path / "own")
    assert manifest.own_layout is not None and manifest.skeleton == own


def test_folder_without_its_manifest_is_no_store(tmp_path: Path) -> None:
    write(tmp_path)
    remove_manifest(folder(tmp_path))
    with pytest.raises(InputError, match="no clip store at"):
        read_manifest(tmp_path)
    remove_manifest(folder(tmp_path))  # there is none


def test_shards_of_an_older_store_are_removed(tmp_path: Path) -> None:
    older = write_small_store(tmp_path, shard_bytes=5_000)
    assert len(older.shards) > 1
    manifest = write(tmp_path)
    assert verify_store(tmp_path) == manifest
    assert folder(tmp_path).names() == ["clips-00000.parquet", "manifest.json"]


def test_store_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no clips to write to .*: check the source"):
        write_manifest(folder(tmp_path), DESCRIPTION, (), [], {}, {})
    assert folder(tmp_path).names() == []


def test_repeated_sample_id_is_refused(tmp_path: Path) -> None:
    shard = write_shard(folder(tmp_path), shard_name(0), make_clips(3))
    with pytest.raises(InputError, match="Clip b occurs twice: sample ids must be unique"):
        write_manifest(folder(tmp_path), DESCRIPTION, (shard,), ["a", "b", "b"], GROUPS, {})


def test_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"Cannot .* place that you may write to|Cannot list"):
        write(tmp_path / "file" / "store")
