"""Ensembles: chosen on val alone, better than their parts, reported as they are."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.align import fuse, keep_shared_clips
from hhmnet_core.fusion.metrics import is_correct, top1
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.fusion.selection import SelectionConfig
from hhmnet_core.fusion.weight_scoring import WeightScorer
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.candidates import Candidate, Rejected, on_shared_clips
from hhmnet_platform.fusion.ensemble import Ensemble, make_ensemble
from hhmnet_platform.fusion.ensemble_report import page_of
from hhmnet_platform.fusion.search_weights import known, scores_digest, study
from hhmnet_platform.fusion.select_ensemble import EnsembleJob, described
from hhmnet_platform.fusion.weightings import baselines, fusion_table, judged

NAMES = tuple(f"class <{number}>" for number in range(5))
CONFIG = SelectionConfig(steps=10, bags=4)


def table(run: str, member: str, split: str, strength: float, clips: int = 200) -> ScoreTable:
    seed = sum(map(ord, run + member + split))
    labels = np.random.default_rng(len(split)).integers(0, 5, clips)
    logits = np.random.default_rng(seed).normal(size=(clips, 5)).astype(np.float32)
    logits[np.arange(clips), labels] += strength
    ids = tuple(f"{split}{number}" for number in range(clips))
    return ScoreTable(ids, labels, logits, run, member, split, "d" * 64, NAMES)


def candidate(run: str, member: str, strength: float, guide: str = "") -> Candidate:
    val, test = (table(run, member, split, strength) for split in ("val", "test"))
    phase = "phase2" if guide else "phase1"
    return Candidate(run, member, val, test, f"id-{run}-{member}", phase, guide)


@pytest.fixture
def candidates() -> list[Candidate]:
    """Two phase-1 runs, one better, and a video network that it guided."""
    strengths = (1.6, 1.5, 1.3, 1.2)
    four = [candidate("data-phase1-good", m, s) for m, s in zip(MODALITIES, strengths, strict=True)]
    weak = [candidate("data-phase1-weak", m, 0.4) for m in MODALITIES]
    return [*four, *weak, candidate("data-phase2-v", "video", 1.0, guide="data-phase1-good")]


@pytest.fixture
def ensemble(candidates: list[Candidate]) -> Ensemble:
    return make_ensemble(candidates, [Rejected("other/joint", "is <running>")], CONFIG)


def test_ensemble_beats_its_parts_and_leaves_out_the_weak(ensemble: Ensemble) -> None:
    board = {entry.name: entry for entry in ensemble.leaderboard}
    ours = board["ensemble"]
    assert ours.test_top1 > board["best single: data-phase1-good/joint"].test_top1 + 0.1
    assert ours.val_top1 >= max(entry.val_top1 for entry in board.values()) - 1e-9
    assert ours.interval[0] < ours.test_top1 < ours.interval[1]
    good = sum(w for w, c in zip(ensemble.weights, ensemble.candidates, strict=True)
               if c.run != "data-phase1-weak")  # fmt: skip
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


def test_choices_do_not_know_the_labels_of_test(candidates: list[Candidate]) -> None:
    order = np.random.default_rng(0).permutation(200)
    leaked = [replace(c, test=replace(c.test, labels=c.test.labels[order])) for c in candidates]
    ours, theirs = (make_ensemble(some, [], CONFIG) for some in (candidates, leaked))
    assert ours.temperatures == theirs.temperatures and ours.temperature == theirs.temperature
    np.testing.assert_array_equal(ours.weights, theirs.weights)
    assert ours.best == theirs.best
    assert ours.leaderboard[0].test_top1 != theirs.leaderboard[0].test_top1
    mine, yours = (WeightScorer([c.val for c in some]) for some in (candidates, leaked))
    equal = np.full(len(candidates), 1 / len(candidates))
    found = [study(each, [equal], equal, 30, seed=1) for each in (mine, yours)]
    np.testing.assert_array_equal(found[0][0], found[1][0])


def test_mixture_of_the_file_is_the_ensemble(ensemble: Ensemble) -> None:
    """ensemble.json stands alone: what it says is enough to score clips."""
    said = described(ensemble, EnsembleJob(experiment="data/xsub"))
    by_name = {each.name: each for each in ensemble.candidates}
    mixed = np.zeros((200, 5))
    for member in said["members"]:
        logits = by_name[f"{member['run']}/{member['member']}"].test.logits.astype(np.float64)
        warm = logits / member["temperature"]
        mixed += member["weight"] * (warm - np.log(np.exp(warm).sum(1, keepdims=True)))
    shares = np.exp(mixed / said["mixture_temperature"])
    shares /= shares.sum(1, keepdims=True)
    np.testing.assert_allclose(shares, ensemble.mixed("test"), atol=1e-6)
    assert (
        said["leaderboard"][0]["test_top1"] == (mixed.argmax(1) == ensemble.labels("test")).mean()
    )
    assert said["rejected"] == [{"name": "other/joint", "reason": "is <running>"}]


def test_copies_have_figures_of_their_own(candidates: list[Candidate]) -> None:
    plain = make_ensemble(candidates, [], CONFIG)
    assert all(entry.test_top1_without_copies is None for entry in plain.leaderboard)
    assert "without copies" not in page_of(plain, "data-ensemble-1", "data/xsub")
    # One network's table says so, the others are of before: that is enough for all.
    marked = frozenset(candidates[0].test.sample_ids[:50])
    first = replace(candidates[0], test=replace(candidates[0].test, copies=marked))
    ensemble = make_ensemble([*candidates[1:], first], [], CONFIG)
    board = {entry.name: entry for entry in ensemble.leaderboard}
    assert len(board) == len(plain.leaderboard)
    ours, alone = board["ensemble"], board[first.name]
    assert ours.test_top1_without_copies == ensemble.right("test")[50:].mean()
    assert alone.test_top1_without_copies == is_correct(first.test)[50:].mean()
    four = fuse([each.test for each in candidates[:4]])
    streams = board["best 4 streams: data-phase1-good"]
    assert streams.test_top1_without_copies == is_correct(four)[50:].mean()
    page = page_of(ensemble, "data-ensemble-1", "data/xsub")
    assert '<th class="n">test without copies</th>' in page
    assert f'<td class="n">{ours.test_top1_without_copies:.1%}</td></tr>' in page
    assert "50 test clips are copies of training clips. The last column leaves them" in page
    assert described(ensemble, EnsembleJob(experiment="data/xsub"))["copies"] == 50


def test_fusions_have_figures_without_copies(candidates: list[Candidate]) -> None:
    marked = frozenset(candidates[0].test.sample_ids[:50])
    first = replace(candidates[0], test=replace(candidates[0].test, copies=marked))
    found = baselines([first, *candidates[1:4]])
    expected = is_correct(fuse([each.test for each in candidates[:4]]))[50:].mean()
    assert found["equal"].test_top1_without_copies == expected
    said = {
        "clips": {"val": 200, "test": 200}, "copies": 50, "search": {"folds": None},
        "fusions": {name: asdict(fusion) for name, fusion in found.items()},
    }  # fmt: skip
    table = fusion_table(said)
    assert [column.header for column in table.columns][-1] == "test without copies"
    assert list(table.columns[-1].cells)[1] == f"{expected:.1%}"
    assert table.caption == "50 test clips are copies of training clips"
    plain = fusion_table(said | {"copies": 0})
    assert len(plain.columns) == 4 and plain.caption is None


def test_a_search_is_told_again_only_of_the_same_scores_and_copies(
    candidates: list[Candidate], tmp_path: Path
) -> None:
    place = folder(tmp_path)
    place.write("fusion.json", json.dumps({"scores": scores_digest(candidates)}).encode())
    assert known(place, candidates[::-1])
    marked = replace(candidates[0].test, copies=frozenset(candidates[0].test.sample_ids[:2]))
    assert not known(place, [replace(candidates[0], test=marked), *candidates[1:]])
    turned = replace(candidates[0].val, logits=-candidates[0].val.logits)
    assert not known(place, [replace(candidates[0], val=turned), *candidates[1:]])
    place.write("fusion.json", b"{")
    assert not known(place, candidates)


def test_page_stands_alone_and_escapes_names(ensemble: Ensemble) -> None:
    page = page_of(ensemble, "data-ensemble-1", "data/xsub")
    assert page.count("data:image/png;base64,") == 4
    assert "class &lt;1&gt;" in page and "class <1>" not in page
    assert "is &lt;running&gt;" in page and "http" not in page
    for head in ("Leaderboard", "Members", "By class", "Left out"):
        assert f"<h2>{head}</h2>" in page


def test_members_count_as_the_heaviest_are_added(ensemble: Ensemble) -> None:
    growing = ensemble.growing()
    assert len(growing) == len(ensemble.members)
    assert growing[-1][1] == pytest.approx(ensemble.right("test").mean())
    first = ensemble.candidates[ensemble.members[0]]
    assert growing[0] == (pytest.approx(top1(first.val)), pytest.approx(top1(first.test)))


def test_tables_that_do_not_belong_together_are_named(candidates: list[Candidate]) -> None:
    other = replace(candidates[1], val=replace(candidates[1].val, digest="e" * 64))
    with pytest.raises(InputError, match="differ in data digest"):
        make_ensemble([candidates[0], other], [], CONFIG)


def test_clips_without_video_are_left_out_of_all(candidates: list[Candidate]) -> None:
    few = [keep_shared_clips([each, table("", "", each.split, 0, clips=190)])[0] for each in
           (candidates[-1].val, candidates[-1].test)]  # fmt: skip
    filmed = replace(candidates[-1], val=few[0], test=few[1])
    kept, left_out = on_shared_clips([*candidates[:-1], filmed])
    assert {len(each.val) for each in kept} == {len(each.test) for each in kept} == {190}
    assert [(each.name, each.reason) for each in left_out] == [
        ("10 of 200 clips of val and 10 of 200 clips of test",
         "have no video, which some networks need")
    ]  # fmt: skip
    assert make_ensemble(kept, left_out, CONFIG).leaderboard[0].test_top1 > 0.5
    skeletons, nothing = on_shared_clips(candidates[:-1])
    assert skeletons == candidates[:-1] and not nothing
    lost = replace(candidates[0], val=keep_shared_clips([candidates[0].val, few[0]])[0])
    with pytest.raises(InputError, match="differ in 10 sample ids"):  # skeletons have all clips
        make_ensemble(on_shared_clips([lost, *candidates[1:-1]])[0], [], CONFIG)


def test_study_finds_a_known_optimum(candidates: list[Candidate]) -> None:
    """One table knows, one is wrong wherever it can: all weight on the first is the optimum."""
    knows = candidates[0].val
    against = replace(knows, logits=-knows.logits, run="against")
    weighting = WeightScorer([knows, against, candidates[4].val], [1.0, 1.0, 1.0])
    equal = np.full(3, 1 / 3)
    weights, value = study(weighting, [equal], equal, 60, seed=1)
    random = np.random.default_rng(0)
    best = max(weighting.top1(random.dirichlet(np.ones(3))) for _ in range(5000))
    assert value >= best - 1e-3 and weights[1] < 0.5
    assert weighting.top1(weights) == value


def test_baselines_are_what_they_say(candidates: list[Candidate]) -> None:
    four = candidates[:4]
    found = baselines(four)
    assert list(found) == [
        "data-phase1-good/joint alone", "equal", "0.6 : 0.6 : 0.4 : 0.4", "2 : 2 : 1 : 1",
        "convex log-loss",
    ]  # fmt: skip
    field = fuse([c.test for c in four], [0.6, 0.6, 0.4, 0.4])
    assert found["0.6 : 0.6 : 0.4 : 0.4"].test_top1 == pytest.approx(top1(field))
    assert "2 : 2 : 1 : 1" not in baselines(candidates)
    temperatures = np.array(WeightScorer([c.val for c in four]).temperatures)
    same = judged(four, np.array([0.6, 0.6, 0.4, 0.4]) * temperatures)
    assert same.test_top1 == found["0.6 : 0.6 : 0.4 : 0.4"].test_top1
