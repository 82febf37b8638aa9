"""Score tables: kept whole, joined by sample id, refused where they do not belong together."""

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
from hypothesis import given
from hypothesis import strategies as st

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import concatenate, fuse, keep_shared_clips
from hhmnet_core.fusion.metrics import (
    count_confusions,
    per_class_accuracy,
    top1,
    top1_without_copies,
)
from hhmnet_core.fusion.scores import ScoreTable, read_scores, write_scores


def make_table(seed: int = 0, num_clips: int = 6, **changes: Any) -> ScoreTable:
    table = ScoreTable(
        sample_ids=tuple(f"clip{number}" for number in range(num_clips)),
        labels=np.arange(num_clips, dtype=np.int64) % 3,
        logits=np.random.default_rng(seed).normal(size=(num_clips, 3)).astype(np.float32),
        run="made-phase1-0",
        modality="joint",
        split="test",
        digest="d" * 64,
        class_names=("a", "b", "c"),
    )
    return replace(table, **changes)


def shuffled(table: ScoreTable, order: np.ndarray) -> ScoreTable:
    return replace(
        table,
        sample_ids=tuple(table.sample_ids[row] for row in order),
        labels=table.labels[order],
        logits=table.logits[order],
    )


@pytest.mark.parametrize("num_clips", [0, 1, 6])
def test_round_trip(tmp_path: Path, num_clips: int) -> None:
    table = make_table(num_clips=num_clips)
    table = replace(table, copies=frozenset(table.sample_ids[1:3]))
    for uri in (str(tmp_path / "scores" / "joint.parquet"), "memory://scores/joint.parquet"):
        write_scores(table, uri)
        read = read_scores(uri)
        np.testing.assert_array_equal(read.logits, table.logits)
        np.testing.assert_array_equal(read.labels, table.labels)
        plain = {"labels": table.labels, "logits": table.logits}
        assert vars(replace(read, **plain)) == vars(table)


def test_copies_are_left_out_of_a_figure_of_their_own() -> None:
    table = make_table(logits=np.eye(3, dtype=np.float32)[[0, 1, 0, 0, 1, 0]])  # two are wrong
    assert top1(table) == pytest.approx(4 / 6) and top1_without_copies(table) is None
    marked = replace(table, copies=frozenset({"clip0", "clip5"}))  # one right, one wrong
    assert top1(marked) == pytest.approx(4 / 6)
    assert top1_without_copies(marked) == pytest.approx(3 / 4)
    assert top1_without_copies(replace(table, copies=frozenset(table.sample_ids))) is None
    with pytest.raises(InputError, match="counts clips as copies that it does not have"):
        replace(table, copies=frozenset({"clip9"}))


def test_copies_stay_with_their_clips() -> None:
    one, other = make_table(copies=frozenset({"clip1"})), make_table(copies=frozenset({"clip4"}))
    assert fuse([one, other]).copies == {"clip1", "clip4"}
    few = make_table(num_clips=3)
    assert [each.copies for each in keep_shared_clips([few, one, other])] == [
        set(),
        {"clip1"},
        set(),
    ]
    elsewhere = replace(few, sample_ids=("x", "y", "z"), copies=frozenset({"y"}))
    assert concatenate([one, elsewhere]).copies == {"clip1", "y"}


def test_metadata_lies_in_the_schema(tmp_path: Path) -> None:
    write_scores(make_table(), tmp_path / "joint.parquet")
    metadata = pq.read_schema(tmp_path / "joint.parquet").metadata
    assert b'"modality": "joint"' in metadata[b"hhmnet.scores"]


@given(seed=st.integers(0, 1000), num_clips=st.integers(1, 12))
def test_fusion_does_not_care_for_positions(seed: int, num_clips: int) -> None:
    one, two = make_table(seed, num_clips), make_table(seed + 1, num_clips)
    order = np.random.default_rng(seed).permutation(num_clips)
    plain, mixed = fuse([one, two]), fuse([one, shuffled(two, order)])
    np.testing.assert_array_equal(plain.logits, mixed.logits)
    expected = (one.logits.astype(np.float64) + two.logits) / 2
    np.testing.assert_allclose(plain.logits, expected, rtol=1e-6)
    assert (plain.modality, plain.run, plain.sample_ids) == ("fusion", one.run, one.sample_ids)


def test_only_the_ratio_of_weights_counts() -> None:
    tables = [make_table(seed) for seed in range(3)]
    np.testing.assert_allclose(
        fuse(tables, [2, 1, 1]).logits, fuse(tables, [0.6, 0.3, 0.3]).logits, rtol=1e-6
    )
    np.testing.assert_array_equal(fuse(tables, [0, 1, 0]).logits, tables[1].logits)


def test_runs_that_differ_are_all_named() -> None:
    assert fuse([make_table(), make_table(run="b"), make_table(run="b")]).run == "made-phase1-0 + b"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"digest": "e" * 64}, "differ in data digest"),
        ({"split": "val"}, "differ in split"),
        ({"class_names": ("a", "b", "x")}, "differ in classes"),
        ({"sample_ids": tuple(f"clip{n}" for n in (0, 1, 2, 3, 4, 9))}, "2 sample ids, clip5"),
        ({"labels": np.array([0, 1, 2, 0, 2, 2])}, "differ in the label of clip clip4"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        fuse([make_table(), make_table(modality="bone", **changes)])
    assert "score table of joint" in str(caught.value)
    assert "score table of bone" in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0], "1 weights for 2"),
        ([1.0, -1.0], "not negative"),
        ([0.0, 0.0], "all zero"),
        ([1.0, float("nan")], "finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: list[float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        fuse([make_table(), make_table()], weights)


def test_no_tables_are_refused() -> None:
    with pytest.raises(InputError, match="no score tables"):
        fuse([])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sample_ids": ("a",) * 6}, "sample id twice"),
        ({"labels": np.arange(6)}, "labels outside 0 to 2"),
        ({"logits": np.zeros((6, 4), np.float32)}, "shapes"),
        ({"logits": np.full((6, 3), np.nan, np.float32)}, "NaN"),
    ],
)
def test_table_that_is_none_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_table(**changes)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def plain_parquet(path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), path)


def of_version(path: Path, version: int) -> None:
    read = pq.read_table(path)
    ((key, facts),) = read.schema.metadata.items()
    said = json.dumps(json.loads(facts) | {"schema_version": version})
    pq.write_table(read.replace_schema_metadata({key: said}), path)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut, "not a whole score table"),
        (plain_parquet, "not one of ours"),
        (Path.unlink, "no score table at"),
        (partial(of_version, version=1), "does not say which clips are copies of training clips"),
        (partial(of_version, version=99), "has schema version 99, newer than the 2"),
    ],
)
def test_spoilt_file_is_named(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    path = tmp_path / "joint.parquet"
    write_scores(make_table(), path)
    spoil(path)
    with pytest.raises(InputError, match=said) as caught:
        read_scores(path)
    assert str(path) in str(caught.value)


def test_accuracies_count_what_they_should() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
    table = make_table(num_clips=4, labels=np.array([0, 1, 1, 1]), logits=logits)
    assert top1(table) == 0.75
    assert count_confusions(table).tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    np.testing.assert_allclose(per_class_accuracy(table), [1.0, 2 / 3, np.nan])
    assert np.isnan(top1(make_table(num_clips=0)))


def test_shared_keeps_the_clips_that_all_tables_have() -> None:
    ids, labels = ("a", "b", "c", "d"), np.array([0, 1, 0, 1])
    logits = np.arange(8, dtype=np.float32).reshape(4, 2)
    one = ScoreTable(ids, labels, logits, "", "joint", "test", "d", ("x", "y"))
    rows = [3, 1, 0]
    other = ScoreTable(
        tuple(ids[r] for r in rows), labels[rows], -logits[rows], "", "video", "test", "d",
        ("x", "y"),
    )  # fmt: skip
    first, second = keep_shared_clips([one, other])
    assert first.sample_ids == second.sample_ids == ("a", "b", "d")
    np.testing.assert_array_equal(first.logits, logits[[0, 1, 3]])
    np.testing.assert_array_equal(second.logits, -logits[[0, 1, 3]])
    assert (fuse([first, second]).logits == 0).all()


def test_stacked_tables_are_one_of_all_their_clips() -> None:
    ids = [("clip0", "clip1"), ("clip9", "clip8", "clip7")]
    folds = [make_table(at, len(names), sample_ids=names) for at, names in enumerate(ids)]
    whole = concatenate(folds)
    assert whole.sample_ids == ids[0] + ids[1]
    np.testing.assert_array_equal(whole.logits, np.concatenate([t.logits for t in folds]))
    np.testing.assert_array_equal(whole.labels, np.concatenate([t.labels for t in folds]))
    with pytest.raises(InputError, match="Clip clip1 is in two of the tables of joint"):
        concatenate([folds[0], make_table(2, 1, sample_ids=("clip1",))])
    with pytest.raises(InputError, match="differ in data digest"):
        concatenate([folds[0], replace(folds[1], digest="e" * 64)])
