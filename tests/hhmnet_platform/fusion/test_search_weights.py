"""Searching weights: a study finds known optima, and equal searches are not repeated."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.weight_scoring import WeightScorer
from hhmnet_platform.fusion.candidates import Candidate
from hhmnet_platform.fusion.fusion_result import FusionResult, SearchSettings
from hhmnet_platform.fusion.search_weights import (
    FusionSearch,
    read_fusion,
    run_fusion_search,
    run_study,
    scores_digest,
)
from hhmnet_platform.fusion.weightings import baseline_fusions
from hhmnet_platform.storage.record_files import format_record


def test_study_finds_a_known_optimum(candidates: list[Candidate]) -> None:
    """One table is good, one is its opposite: all weight on the first is the optimum."""
    good = candidates[0].val
    opposite = replace(good, logits=-good.logits, run="opposite")
    scorer = WeightScorer([good, opposite, candidates[4].val], [1.0, 1.0, 1.0])
    equal = np.full(3, 1 / 3)
    weights, value = run_study(scorer, [equal], equal, 60, seed=1)
    random = np.random.default_rng(0)
    best = max(scorer.top1(random.dirichlet(np.ones(3))) for _ in range(5000))
    assert value >= best - 1e-3 and weights[1] < 0.5
    assert scorer.top1(weights) == value


def test_study_does_not_depend_on_the_labels_of_test(candidates: list[Candidate]) -> None:
    order = np.random.default_rng(0).permutation(200)
    shuffled = [replace(c, test=replace(c.test, labels=c.test.labels[order])) for c in candidates]
    equal = np.full(len(candidates), 1 / len(candidates))
    scorers = [WeightScorer([c.val for c in each]) for each in (candidates, shuffled)]
    first, second = (run_study(scorer, [equal], equal, 20, seed=1) for scorer in scorers)
    np.testing.assert_array_equal(first[0], second[0])


def test_result_is_used_again_only_for_the_same_scores_and_copies(
    candidates: list[Candidate], tmp_path: Path
) -> None:
    files = folder(tmp_path)
    result = FusionResult(
        search=SearchSettings([], "/w", 1, 1, 1, ""),
        digest="d" * 64,
        scores=scores_digest(candidates),
        clips={"val": 200, "test": 200},
        copies=0,
        fusions=baseline_fusions(candidates),
    )
    files.write("fusion.json", format_record(result))
    assert read_fusion(files, candidates[::-1]) == result
    first = candidates[0]
    marked = replace(first.test, copies=frozenset(first.test.sample_ids[:2]))
    assert read_fusion(files, [replace(first, test=marked), *candidates[1:]]) is None
    changed = replace(first.val, logits=-first.val.logits)
    assert read_fusion(files, [replace(first, val=changed), *candidates[1:]]) is None
    files.write("fusion.json", b"{")
    assert read_fusion(files, candidates) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "trials must be 1 to 10000, but is 0"),
        ({"evaluations": 0}, "evaluations must be 1 to 1000000, but is 0"),
        ({"seed": -1}, "seed must be 0 to"),
        ({"folds": 1}, "folds must be 2 to 100, but is 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FusionSearch(**changes)


def test_missing_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--runs is missing"):
        run_fusion_search(FusionSearch(workspace=str(tmp_path)))
    with pytest.raises(InputError, match="--runs is missing"):
        run_fusion_search(FusionSearch(workspace=str(tmp_path), folds=3))
