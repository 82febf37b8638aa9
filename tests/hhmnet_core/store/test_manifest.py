"""The manifest: its digest, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_stores import make_clips, write

from hhmnet_core.errors import InputError
from hhmnet_core.store.reading import (
    Protocol,
    load_clips,
    read_manifest,
)


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{not json", "is not JSON"),
        ("[]", "no schema_version"),
        ('{"schema_version": 99}', "schema version 99, newer than the 1"),
        ('{"schema_version": 1}', "has a missing or malformed field"),
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


def test_digests_of_a_store_do_not_change(tmp_path: Path) -> None:
    manifest = write(tmp_path / "store")
    assert manifest.digest == (  # of the shards' bytes, which are those of the locked pyarrow
        "26b732a34b2f563d70a9b3611153f0673bd53ed47ae0cf1853b64fbdbb297ba4"
    )
    assert load_clips(tmp_path / "store", tmp_path / "cache").skeletons == (
        "b35429a64e23ff3b53c2b98284e471271ed422659639092d400032d8f7c3eef2"
    )
