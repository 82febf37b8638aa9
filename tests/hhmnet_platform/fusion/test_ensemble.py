"""Ensembles: selected on val alone, better than their members, reported as they are."""

from dataclasses import replace

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import fuse
from hhmnet_core.fusion.metrics import is_correct, top1
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.ensemble import Ensemble, make_ensemble


def test_ensemble_beats_its_members_and_leaves_out_the_weak(ensemble: Ensemble) -> None:
    board = {entry.name: entry for entry in ensemble.leaderboard}
    ours = board["ensemble"]
    assert ours.test_top1 > board["best single: data-phase1-good/joint"].test_top1 + 0.1
    assert ours.test_top1 > board["all, equal weights"].test_top1
    assert ensemble.basis and ensemble.basis.chosen != "equal"
    assert ours.interval[0] < ours.test_top1 < ours.interval[1]
    good = sum(
        share
        for share, each in zip(ensemble.shares, ensemble.candidates, strict=True)
        if each.run != "data-phase1-weak"
    )
    assert ensemble.weights.sum() == pytest.approx(1) and good > 5 / 9  # more than by number


def test_streams_are_compared_as_the_field_fuses_them(
    ensemble: Ensemble, candidates: list[Candidate]
) -> None:
    board = {entry.name: entry for entry in ensemble.leaderboard}
    four = fuse([each.test for each in candidates[:4]])
    assert board["best 4 streams: data-phase1-good"].test_top1 == pytest.approx(top1(four))
    five = fuse([each.test for each in [*candidates[:4], candidates[-1]]])
    entry = board["best 4 streams and video: data-phase2-v"]
    assert (entry.members, entry.test_top1) == (5, pytest.approx(top1(five)))


def test_selection_does_not_depend_on_the_labels_of_test(
    candidates: list[Candidate], config: SelectionConfig
) -> None:
    order = np.random.default_rng(0).permutation(200)
    shuffled = [replace(c, test=replace(c.test, labels=c.test.labels[order])) for c in candidates]
    ours, theirs = (make_ensemble(each, [], config) for each in (candidates, shuffled))
    assert ours.temperatures == theirs.temperatures and ours.temperature == theirs.temperature
    np.testing.assert_array_equal(ours.weights, theirs.weights)
    assert ours.best_single == theirs.best_single
    assert ours.leaderboard[0].test_top1 != theirs.leaderboard[0].test_top1


def test_copies_have_figures_of_their_own(
    candidates: list[Candidate], copied: list[Candidate], config: SelectionConfig
) -> None:
    plain = make_ensemble(candidates, [], config)
    assert all(entry.test_top1_without_copies is None for entry in plain.leaderboard)
    # The table of one network marks copies: that is enough for all.
    ensemble = make_ensemble([*copied[1:], copied[0]], [], config)
    board = {entry.name: entry for entry in ensemble.leaderboard}
    assert len(board) == len(plain.leaderboard)
    ours, single = board["ensemble"], board[copied[0].name]
    assert ours.test_top1_without_copies == ensemble.is_right("test")[50:].mean()
    assert single.test_top1_without_copies == is_correct(copied[0].test)[50:].mean()
    four = fuse([each.test for each in candidates[:4]])
    streams = board["best 4 streams: data-phase1-good"]
    assert streams.test_top1_without_copies == is_correct(four)[50:].mean()


def test_accuracy_grows_with_the_heaviest_members(ensemble: Ensemble) -> None:
    growing = ensemble.growing()
    assert len(growing) == len(ensemble.members)
    assert growing[-1][1] == pytest.approx(ensemble.is_right("test").mean())
    first = ensemble.candidates[ensemble.members[0]]
    assert growing[0] == (pytest.approx(top1(first.val)), pytest.approx(top1(first.test)))


def test_comparison_counts_clips_that_only_one_classifies_correctly(ensemble: Ensemble) -> None:
    ours = ensemble.is_right("test")
    single = ensemble.is_right("test", ensemble.only(ensemble.best_single))
    paired = ensemble.against_best_single()
    assert paired.gained == int((ours & ~single).sum())
    assert paired.lost == int((single & ~ours).sum()) and 0 <= paired.p_value <= 1


def test_tables_that_do_not_belong_together_are_named(
    candidates: list[Candidate], config: SelectionConfig
) -> None:
    other = replace(candidates[1], val=replace(candidates[1].val, digest="e" * 64))
    with pytest.raises(InputError, match="differ in data digest"):
        make_ensemble([candidates[0], other], [], config)


def test_equal_weights_are_the_mean_of_the_raw_logits(candidates: list[Candidate]) -> None:
    """Where val cannot tell the networks apart, the ensemble is the row of equal weights."""
    alike = [
        replace(each, val=replace(each.val, subjects=np.zeros(200, dtype=np.int64)))
        for each in candidates[:4]
    ]
    ensemble = make_ensemble(alike, [], SelectionConfig(steps=10, bags=1))
    ours, _, equal, *_ = ensemble.leaderboard
    assert ensemble.basis and ensemble.basis.is_equal
    assert (ours.val_top1, ours.test_top1) == (equal.val_top1, equal.test_top1)
    assert equal.test_top1 == top1(fuse([each.test for each in alike]))
    np.testing.assert_allclose(ensemble.shares, 0.25)
