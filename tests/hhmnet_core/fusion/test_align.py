"""Tables joined by sample id: in any order of clips, and refused if they are of different data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from score_tables import make_table, reorder, shuffle

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import (
    check_compatible,
    concatenate,
    fuse,
    keep_shared_clips,
    stack_aligned,
)
from hhmnet_core.fusion.scores import ScoreTable

JOINS: list[Callable[[Sequence[ScoreTable]], object]] = [check_compatible, stack_aligned, fuse]


@given(seed=st.integers(0, 1000), num_clips=st.integers(0, 12), num_tables=st.integers(1, 4))
def test_stacked_logits_are_bitwise_those_of_fusions_with_one_weight(
    seed: int, num_clips: int, num_tables: int
) -> None:
    tables = [shuffle(make_table(seed + at, num_clips), at) for at in range(num_tables)]
    one_hot = np.eye(num_tables).tolist()
    expected = np.stack([fuse(tables, weights).logits for weights in one_hot])
    stacked = stack_aligned(tables)
    assert stacked.dtype == np.float64 and stacked.shape == (num_tables, num_clips, 3)
    np.testing.assert_array_equal(stacked, expected)


def test_stacked_logits_are_in_the_first_tables_order() -> None:
    first, second = make_table(1), shuffle(make_table(2), 0)
    stacked = stack_aligned([first, second])
    for at, sample_id in enumerate(first.sample_ids):
        row = second.sample_ids.index(sample_id)
        np.testing.assert_array_equal(stacked[1, at], second.logits[row])
    np.testing.assert_array_equal(stacked[0], first.logits)


@given(seed=st.integers(0, 1000), num_clips=st.integers(1, 12))
def test_a_fusion_does_not_depend_on_the_order_of_clips(seed: int, num_clips: int) -> None:
    one, two = make_table(seed, num_clips), make_table(seed + 1, num_clips)
    plain, mixed = fuse([one, two]), fuse([one, shuffle(two, seed)])
    np.testing.assert_array_equal(plain.logits, mixed.logits)
    expected = (one.logits.astype(np.float64) + two.logits) / 2
    np.testing.assert_allclose(plain.logits, expected, rtol=1e-6)
    assert (plain.modality, plain.run, plain.sample_ids) == ("fusion", one.run, one.sample_ids)


def test_only_the_ratios_of_weights_matter() -> None:
    tables = [make_table(seed) for seed in range(3)]
    np.testing.assert_allclose(
        fuse(tables, [2, 1, 1]).logits, fuse(tables, [0.6, 0.3, 0.3]).logits, rtol=1e-6
    )
    np.testing.assert_array_equal(fuse(tables, [0, 1, 0]).logits, tables[1].logits)


def test_a_fusion_names_each_of_its_runs_once() -> None:
    assert fuse([make_table(), make_table(run="b"), make_table(run="b")]).run == "made-phase1-0 + b"


def test_copies_stay_with_their_clips() -> None:
    one, other = make_table(copies=frozenset({"clip1"})), make_table(copies=frozenset({"clip4"}))
    assert fuse([one, other]).copies == {"clip1", "clip4"}
    few = make_table(num_clips=3)
    assert [each.copies for each in keep_shared_clips([few, one, other])] == [
        set(), {"clip1"}, set(),
    ]  # fmt: skip
    elsewhere = replace(few, sample_ids=("x", "y", "z"), copies=frozenset({"y"}))
    assert concatenate([one, elsewhere]).copies == {"clip1", "y"}


@pytest.mark.parametrize("join", JOINS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digest": "e" * 64}, "differ in data digest"),
        ({"split": "val"}, r"differ in split \(test; val\)"),
        ({"class_names": ("a", "b", "x")}, r"differ in classes \(a, b, c; a, b, x\)"),
        (
            {"sample_ids": tuple(f"clip{n}" for n in (0, 1, 2, 3, 4, 9))},
            "differ in 2 sample ids, such as clip5",
        ),
        (
            {"labels": np.array([0, 1, 2, 0, 2, 2])},
            r"differ in the label of clip clip4 \(1; 2\)",
        ),
    ],
)
def test_tables_of_different_data_are_refused(
    join: Callable[[Sequence[ScoreTable]], object], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        join([make_table(), make_table(modality="bone", **changes)])
    assert str(caught.value).startswith("The test score table of joint (made-phase1-0) and the ")
    assert "score table of bone" in str(caught.value)


@pytest.mark.parametrize("join", JOINS)
def test_no_tables_are_refused(join: Callable[[Sequence[ScoreTable]], object]) -> None:
    with pytest.raises(InputError, match="no score tables"):
        join([])


def test_tables_that_differ_in_nothing_but_order_are_compatible() -> None:
    check_compatible([make_table(0), shuffle(make_table(1, modality="bone", run="other"), 3)])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "1 weights for 2"),
        ([1.0, -1.0], "not negative"),
        ([0.0, 0.0], "all zero"),
        ([1.0, float("nan")], "finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fuse([make_table(), make_table()], weights)


def test_tables_are_reduced_to_the_clips_that_all_of_them_have() -> None:
    first = make_table(0, 4)
    second = reorder(make_table(1, 4), np.array([3, 1, 0]))
    one, other = keep_shared_clips([first, second])
    assert one.sample_ids == other.sample_ids == ("clip0", "clip1", "clip3")
    np.testing.assert_array_equal(one.logits, first.logits[[0, 1, 3]])
    np.testing.assert_array_equal(other.logits, second.logits[[2, 1, 0]])
    np.testing.assert_array_equal(one.labels, [0, 1, 0])
    check_compatible([one, other])


def test_subjects_stay_with_their_clips() -> None:
    one = make_table(subjects=np.arange(6))
    kept, _ = keep_shared_clips([one, make_table(num_clips=4)])
    assert kept.subjects is not None and kept.subjects.tolist() == [0, 1, 2, 3]
    other = make_table(num_clips=2, sample_ids=("x", "y"), subjects=np.array([8, 9]))
    both = concatenate([one, other])
    assert both.subjects is not None and both.subjects.tolist() == [0, 1, 2, 3, 4, 5, 8, 9]
    assert concatenate([one, replace(other, subjects=None)]).subjects is None


def test_concatenated_tables_have_all_their_clips() -> None:
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
