"""Score tables: their rules, and their files."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from score_tables import make_table

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import read_scores, write_scores


@pytest.mark.parametrize("num_clips", [0, 1, 6])
def test_a_written_table_is_read_back_unchanged(tmp_path: Path, num_clips: int) -> None:
    table = make_table(num_clips=num_clips)
    table = replace(table, copies=frozenset(table.sample_ids[1:3]))
    for uri in (str(tmp_path / "scores" / "joint.parquet"), "memory://scores/joint.parquet"):
        write_scores(table, uri)
        read = read_scores(uri)
        np.testing.assert_array_equal(read.logits, table.logits)
        np.testing.assert_array_equal(read.labels, table.labels)
        arrays = {"labels": table.labels, "logits": table.logits}
        assert vars(replace(read, **arrays)) == vars(table)


def test_subjects_are_a_column_where_they_are_recorded(tmp_path: Path) -> None:
    table = replace(make_table(), subjects=np.arange(6) + 3)
    write_scores(table, tmp_path / "joint.parquet")
    read = read_scores(tmp_path / "joint.parquet")
    assert read.subjects is not None and read.subjects.dtype == np.int64
    np.testing.assert_array_equal(read.subjects, table.subjects)
    write_scores(make_table(), tmp_path / "earlier.parquet")
    assert pq.read_schema(tmp_path / "earlier.parquet").names == [
        "sample_id", "label", "logits", "copy",
    ]  # fmt: skip


def test_the_metadata_is_in_the_schema(tmp_path: Path) -> None:
    write_scores(make_table(), tmp_path / "joint.parquet")
    metadata = pq.read_schema(tmp_path / "joint.parquet").metadata
    assert b'"modality": "joint"' in metadata[b"hhmnet.scores"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_ids": ("a",) * 6}, "sample id twice"),
        ({"labels": np.arange(6)}, "labels outside 0 to 2"),
        ({"labels": np.arange(6) - 1}, "labels outside 0 to 2"),
        ({"logits": np.zeros((6, 4), np.float32)}, r"shapes \(6,\) and \(6, 4\)"),
        ({"logits": np.full((6, 3), np.nan, np.float32)}, "NaN"),
        ({"subjects": np.arange(5)}, r"subjects of shape \(5,\); expected \(6,\)"),
        ({"copies": frozenset({"clip9"})}, "lists copies that are not among its clips"),
    ],
)
def test_an_impossible_table_is_an_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_table(**changes)
    assert str(caught.value).startswith("The test score table of joint (made-phase1-0) ")


def test_the_title_leaves_out_an_empty_run() -> None:
    assert make_table(run="", split="val").title == "The val score table of joint"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def replace_by_other_parquet(path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), path)


def repeat_an_id(path: Path) -> None:
    """Repeat a sample id of 1 MB: a few kilobytes in the file, 100 GB as text."""
    table = pq.read_table(path)
    ids = pa.DictionaryArray.from_arrays(np.zeros(100_000, np.int32), ["x" * 1_000_000])
    rows = pa.concat_tables([table] * -(-100_000 // len(table))).slice(0, 100_000)
    columns = [ids, *rows.drop_columns("sample_id").columns]
    repeated = pa.Table.from_arrays(columns, names=table.schema.names)
    pq.write_table(repeated.replace_schema_metadata(table.schema.metadata), path)


def set_version(path: Path, version: int) -> None:
    table = pq.read_table(path)
    ((key, metadata),) = table.schema.metadata.items()
    changed = json.dumps(json.loads(metadata) | {"schema_version": version})
    pq.write_table(table.replace_schema_metadata({key: changed}), path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, "is damaged or not a score table"),
        (repeat_an_id, "has a sample id twice"),
        (replace_by_other_parquet, r"hhmnet\.scores' is missing"),
        (Path.unlink, "no score table at"),
        (partial(set_version, version=1), "does not record the copies of training clips"),
        (partial(set_version, version=99), "has schema version 99, newer than the 2"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "joint.parquet"
    write_scores(make_table(), path)
    spoil(path)
    with pytest.raises(InputError, match=message) as caught:
        read_scores(path)
    assert str(path) in str(caught.value)


def test_no_byte_changes_unnoticed(tmp_path: Path) -> None:
    table, file = make_table(), tmp_path / "joint.parquet"
    write_scores(table, file)
    content = file.read_bytes()
    unnoticed = 0
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        file.write_bytes(changed)
        try:
            read = read_scores(file)
        except InputError:
            continue
        unnoticed += 1
        assert replace(read, labels=table.labels, logits=table.logits) == table
        np.testing.assert_array_equal(read.logits, table.logits)
    # A file whose mark of a checksum has changed is taken for one of an earlier version.
    assert unnoticed == len(b"hhmnet.sha256:")


def test_table_of_an_earlier_version_has_no_checksum(tmp_path: Path) -> None:
    table, file = make_table(), tmp_path / "joint.parquet"
    write_scores(table, file)
    content = file.read_bytes()
    start = content.index(b"hhmnet.sha256:")
    file.write_bytes(content[:start] + content[start + len(b"hhmnet.sha256:") + 32 :])
    np.testing.assert_array_equal(read_scores(file).logits, table.logits)
