"""Protocols and selections: clips to train, to validate and to test on."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from made_stores import write_store

from hhmnet_core.errors import InputError
from hhmnet_core.store.clips import Clip, ClipSet
from hhmnet_core.store.manifest import Protocol
from hhmnet_core.store.protocols import (
    Split,
    apply_protocol,
    fold_of,
    fold_selection,
    keep_share,
    protocol_name,
    split_clips,
)
from hhmnet_core.store.reading import load_clips

VIEW = Protocol({"camera": [1, 2]}, {"camera": [3]})


def groups_of(subject: list[int], camera: list[int]) -> dict[str, np.ndarray]:
    zeros = [0] * len(subject)
    facts = {"subject": subject, "camera": camera, "setup": zeros}
    return {name: np.array(values, dtype=np.int64) for name, values in facts.items()}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipSet:
    """11 subjects before 3 cameras, one clip each."""
    folder = tmp_path_factory.mktemp("protocols")
    joints = np.zeros((1, 1, 20, 3), np.float32)
    write_store(
        folder / "store",
        (Clip(f"s{s}v{v}", 0, s, v, 0, joints) for s in range(1, 12) for v in (1, 2, 3)),
        dataset="made",
        layout="kinect_v1_20",
        class_names=("a",),
        protocols={
            "view": VIEW,
            "subject": Protocol({"subject": list(range(1, 10))}, {"subject": [10, 11]}),
            "one": Protocol({"subject": [4], "camera": [1, 2]}, {"subject": [5]}),
            "no train": Protocol({"setup": [7]}, {"camera": [3]}),
            "no test": Protocol({"camera": [1]}, {"setup": [7]}),
        },
        source={},
    )
    return load_clips(folder / "store", folder / "cache")


def test_val_is_every_fifth_training_subject(clips: ClipSet) -> None:
    split = split_clips(clips, "view", "val")
    assert set(clips.subjects[split.val]) == {5, 10}
    assert set(clips.cameras[split.val]) == set(clips.cameras[split.train]) == {1, 2}
    assert set(clips.cameras[split.test]) == {3}
    # Cross-view: the same people are tested, seen by another camera.
    assert set(clips.subjects[split.test]) == set(range(1, 12))
    assert [len(split.train), len(split.val), len(split.test)] == [18, 4, 11]
    assert clips.manifest.counts["view"] == {"train": 18, "val": 4, "test": 11}


def test_cross_subject_splits_share_no_person(clips: ClipSet) -> None:
    split = split_clips(clips, "subject", "val")
    people = [set(clips.subjects[getattr(split, name)]) for name in ("train", "val", "test")]
    assert people == [{1, 2, 3, 4, 6, 7, 8, 9}, {5}, {10, 11}]


def test_literature_holds_nothing_out(clips: ClipSet) -> None:
    split = split_clips(clips, "view", "literature")
    assert [len(split.train), len(split.val), len(split.test)] == [22, 0, 11]


def test_folds_hold_every_training_clip_out_once(clips: ClipSet) -> None:
    folds = [split_clips(clips, "view", fold_selection(fold, 3)) for fold in (1, 2, 3)]
    whole = split_clips(clips, "view", "literature")
    held_out = np.concatenate([split.val for split in folds])
    assert sorted(held_out) == whole.train.tolist()
    for split in folds:
        assert sorted([*split.train, *split.val]) == whole.train.tolist()
        assert not set(clips.subjects[split.train]) & set(clips.subjects[split.val])
        np.testing.assert_array_equal(split.test, whole.test)


def test_empty_name_is_the_first_protocol(clips: ClipSet) -> None:
    assert protocol_name(clips.manifest.protocols, "") == "view"
    np.testing.assert_array_equal(
        split_clips(clips, "", "val").train, split_clips(clips, "view", "val").train
    )


def test_the_last_of_fewer_than_five_subjects_is_held_out() -> None:
    split = apply_protocol(groups_of([3, 1, 2, 9], [1, 1, 2, 3]), VIEW, "val")
    assert [split.train.tolist(), split.val.tolist(), split.test.tolist()] == [[1, 2], [0], [3]]


@pytest.mark.parametrize(
    ("protocol", "selection", "message"),
    [
        ("nope", "val", "Unknown protocol 'nope'; the store has view, subject, one"),
        ("view", "best", "Unknown selection 'best'; expected val, last_epoch, or a fold"),
        ("view", "fold-6-of-5", "Unknown selection 'fold-6-of-5'"),
        ("view", "fold-1-of-1", "Unknown selection 'fold-1-of-1'"),
        ("view", "fold-1-of-12", "view trains on fewer subjects than fold-1-of-12 needs"),
        ("one", "val", "one trains on a single subject"),
        ("no train", "val", "no train finds no train clips"),
        ("no test", "val", "no test finds no test clips"),
    ],
)
def test_clips_that_cannot_be_split_are_refused(
    clips: ClipSet, protocol: str, selection: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        split_clips(clips, protocol, selection)


def test_single_subject_suffices_for_literature(clips: ClipSet) -> None:
    assert len(split_clips(clips, "one", "literature").train) == 2


def test_unknown_field_and_overlap_are_refused() -> None:
    with pytest.raises(InputError, match="names view; expected fields of subject"):
        Protocol({"view": [1]}, {"camera": [2]})
    with pytest.raises(InputError, match="1 clips would both train and test"):
        apply_protocol(groups_of([1, 2], [1, 3]), Protocol({}, {"camera": [3]}), "val")


@given(facts=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 3)), min_size=1, max_size=60))
def test_splits_never_share_a_clip_nor_train_and_val_a_subject(
    facts: list[tuple[int, int]],
) -> None:
    groups = groups_of([subject for subject, _ in facts], [camera for _, camera in facts])
    split = apply_protocol(groups, VIEW, "val")
    everyone = np.concatenate([split.train, split.val, split.test])
    assert sorted(everyone) == list(range(len(facts)))
    for indices in (split.train, split.val, split.test):
        assert indices.tolist() == sorted(indices)
    train, val = (set(groups["subject"][indices]) for indices in (split.train, split.val))
    assert not train & val
    assume(len(train | val) > 1)
    assert train and val
    assert len(val) <= max(1, len(train | val) // 5)


@pytest.mark.parametrize(
    ("selection", "fold"),
    [
        (fold_selection(2, 5), (2, 5)),
        ("fold-10-of-10", (10, 10)),
        ("fold-0-of-3", None),
        ("fold-4-of-3", None),
        ("val", None),
        ("xfold-1-of-3", None),
    ],
)
def test_fold_is_read_from_its_selection(selection: str, fold: tuple[int, int] | None) -> None:
    assert fold_of(selection) == fold


def test_store_without_protocols_is_named() -> None:
    with pytest.raises(InputError, match="Unknown protocol ''; the store has none"):
        protocol_name({}, "")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_a_share_is_drawn_from_each_class(share: float) -> None:
    labels = np.repeat(np.arange(4), (50, 20, 3, 1))
    train = np.flatnonzero(np.arange(len(labels)) % 7 > 0)
    split = Split(train, np.array([0]), np.array([7]))
    kept = keep_share(split, labels, share, seed=1)
    before, after = (np.bincount(labels[each], minlength=4) for each in (train, kept.train))
    assert after.tolist() == [max(1, round(share * count)) for count in before]
    assert set(kept.train) <= set(train) and (np.diff(kept.train) > 0).all()
    assert kept.val is split.val and kept.test is split.test
    larger = keep_share(split, labels, min(1.0, share * 1.5), seed=1)
    assert set(kept.train) <= set(larger.train)
    assert np.array_equal(kept.train, keep_share(split, labels, share, seed=1).train)
    if share == 0.5:
        assert not np.array_equal(kept.train, keep_share(split, labels, share, seed=2).train)


def test_the_whole_share_changes_nothing() -> None:
    split = Split(np.array([1, 2]), np.array([0]), np.array([3]))
    assert keep_share(split, np.zeros(4, np.int64), 1.0, seed=1) is split
