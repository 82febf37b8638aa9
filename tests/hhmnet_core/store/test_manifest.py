"""The manifest: its digest, and files that are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_stores import make_clips, write_small_store

from hhmnet_core.errors import InputError
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.store.reading import load_clips, read_manifest


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ("a", "b", "d")},
        {"protocols": {"xview": Protocol({"camera": [2]}, {"camera": [1]})}},
        {"clips": make_clips(19)},
    ],
)
def test_digest_depends_on_what_decides_a_result(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert (
        write_small_store(tmp_path / "one").digest
        != write_small_store(tmp_path / "two", **changes).digest
    )


def test_digest_does_not_depend_on_names_of_source_and_data_set(tmp_path: Path) -> None:
    other = write_small_store(tmp_path / "two", source={"made": "there"}, dataset="renamed")
    assert write_small_store(tmp_path / "one").digest == other.digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json", "is not JSON"),
        ("[]", "no schema_version"),
        ('{"schema_version": 99}', "schema version 99, newer than the 1"),
        ('{"schema_version": 1}', "has a missing or malformed field"),
        ('{"schema_version": 1, "schema_version": 1}', "'schema_version' is given twice"),
        ("[" * 100_000, "nested more than 64 deep"),
    ],
)
def test_malformed_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_clips(tmp_path, tmp_path / "cache")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_edited_manifest_is_refused(tmp_path: Path) -> None:
    write_small_store(tmp_path)
    file = tmp_path / "manifest.json"
    fields = json.loads(file.read_text())
    fields["class_names"][0] = "other"
    file.write_text(json.dumps(fields))
    with pytest.raises(InputError, match="was edited"):
        read_manifest(tmp_path)


@pytest.mark.locked
def test_digests_of_a_store_do_not_change(tmp_path: Path) -> None:
    manifest = write_small_store(tmp_path / "store")
    assert manifest.digest == (  # follows from the shards' bytes, so from pyarrow's version
        "26b732a34b2f563d70a9b3611153f0673bd53ed47ae0cf1853b64fbdbb297ba4"
    )
    assert load_clips(tmp_path / "store", tmp_path / "cache").skeletons == (
        "b35429a64e23ff3b53c2b98284e471271ed422659639092d400032d8f7c3eef2"
    )


def edit_manifest(folder: Path, edit: Callable[[Any], object]) -> None:
    """Change fields that are not part of the digest, as the maker of a foreign store can."""
    file = folder / "manifest.json"
    fields = json.loads(file.read_text())
    edit(fields)
    file.write_text(json.dumps(fields))


@pytest.mark.parametrize("name", ["../../../escaped/here", "/etc", "..", "a\0b", "a\nb", ""])
def test_data_set_name_that_leads_out_of_a_workspace_is_refused(tmp_path: Path, name: str) -> None:
    write_small_store(tmp_path)
    edit_manifest(tmp_path, lambda fields: fields.update(dataset=name))
    with pytest.raises(InputError, match=r"manifest.json of .*data set name .* cannot be used"):
        read_manifest(tmp_path)
    with pytest.raises(InputError, match=r"data set name .* cannot be used"):
        write_small_store(tmp_path / "made", dataset=name)


@pytest.mark.parametrize("name", ["my data", "it's", "Übung (2)", "nw.ucla-12_3", "100%"])
def test_data_set_name_of_one_folder_is_taken(tmp_path: Path, name: str) -> None:
    write_small_store(tmp_path, dataset=name)
    assert read_manifest(tmp_path).dataset == name


@pytest.mark.parametrize("name", ["../clips-00000.parquet", "sub/clips.parquet", "a\0b", "..", ""])
def test_shard_outside_of_its_store_is_refused(tmp_path: Path, name: str) -> None:
    write_small_store(tmp_path)
    edit_manifest(tmp_path, lambda fields: fields["shards"][0].update(name=name))
    with pytest.raises(InputError, match=r"manifest.json of .*shard name .* cannot be used"):
        load_clips(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ([], "lists no clips"),
        ([{"num_clips": 0}], "lists no clips"),
        ([{"num_clips": 1e999}], "has a missing or malformed field"),
    ],
)
def test_shards_that_cannot_be_are_refused(
    tmp_path: Path, shards: list[dict[str, object]], message: str
) -> None:
    write_small_store(tmp_path)
    edit_manifest(
        tmp_path,
        lambda fields: fields.update(shards=[fields["shards"][0] | each for each in shards]),
    )
    with pytest.raises(InputError, match=message):
        read_manifest(tmp_path)
