"""The ablation: each part is taken away alone, runs go on, differences are paired by seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.runner import (
    Outcome,
    read_outcomes,
    run_ablation,
    summary,
)
from hhmnet_platform.ablation.variants import (
    PHASE1,
    last_checkpoint,
    phase1_ablation,
    phase2_ablation,
    top1s,
)


def test_a_variant_differs_in_its_part_alone() -> None:
    whole = Phase1Config()
    subject = phase1_ablation(whole)
    assert subject.variant(whole, "all", 7) == replace(whole, seed=7)
    no_mask = replace(whole, model=replace(whole.model, mask=False))
    assert subject.variant(whole, "no mask", 1) == no_mask
    said = {str(subject.said(subject.variant(whole, name, 1))) for name in PHASE1}
    assert len(said) == len(PHASE1)


def outcome(variant: str, seed: int, fusion: float) -> Outcome:
    return Outcome(variant, seed, {}, "", {"joint": 0.5, "fusion": fusion})


def test_differences_are_paired_by_seed() -> None:
    outcomes = [
        outcome("all", 1, 0.80),
        outcome("all", 2, 0.60),
        outcome("no mask", 2, 0.50),
        outcome("no mask", 1, 0.76),
        outcome("no contrast", 3, 0.9),
    ]
    lines = summary(phase1_ablation(Phase1Config()), outcomes).splitlines()
    assert lines[2] == "| all | 2 | 50.0 (50.0 to 50.0) | 70.0 (60.0 to 80.0) |  |"
    # -4 and -10: mean -7, standard error 3
    assert lines[3].endswith("| 63.0 (50.0 to 76.0) | -7.0 ± 3.0 |")
    assert lines[4].endswith("| 90.0 (90.0 to 90.0) |  |")  # no seed of its own in "all"


def test_a_figure_that_some_runs_lack_has_no_column() -> None:
    novel = "fusion without copies"
    knows, other = outcome("all", 1, 0.8), outcome("all", 2, 0.6)
    knows.top1[novel] = 0.7
    subject = phase1_ablation(Phase1Config())
    assert f"| joint | fusion | {novel} |" in summary(subject, [knows])
    for order in ([knows, other], [other, knows]):  # a file may hold runs of before
        assert novel not in summary(subject, order)


def test_an_ablation_has_the_fusion_without_copies() -> None:
    ids, labels = ("a", "b", "c", "d"), np.array([0, 1, 0, 1])
    logits = np.eye(2, dtype=np.float32)[[0, 0, 0, 1]]  # b is wrong
    table = ScoreTable(ids, labels, logits, "", FUSION, "test", "0" * 64, ("x", "y"))
    assert top1s({FUSION: table}) == {FUSION: 0.75}
    marked = replace(table, copies=frozenset({"a", "d"}))
    assert top1s({FUSION: marked}) == {FUSION: 0.75, "fusion without copies": 0.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ["no legs"]}, "Unknown variant 'no legs'; known are all, no mask"),
        ({"seeds": []}, "at least one seed"),
        ({"processes": 0}, "at least one seed and one process"),
    ],
)
def test_what_cannot_be_run_is_named(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    arguments = {"variants": ["all"], "seeds": [1], "processes": 1, "file": tmp_path / "out"}
    with pytest.raises(InputError, match=message):
        list(
            run_ablation(
                phase1_ablation(Phase1Config()), Phase1Config(), **{**arguments, **changes}
            )
        )


def test_a_part_that_a_baseline_does_not_have_cannot_be_taken_away() -> None:
    baseline = Phase1Config(model=ModelConfig(name="ctr_gcn"))
    subject = phase1_ablation(baseline)
    assert subject.variant(baseline, "no contrast", 1).contrast.weight == 0
    with pytest.raises(InputError, match="Unknown variant 'no mask'; known are all, no contrast"):
        subject.variant(baseline, "no mask", 1)


def test_phase_2_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is neither a run's folder nor a checkpoint"):
        phase2_ablation(str(tmp_path))
    for epoch in (2, 10):
        (tmp_path / f"epoch-{epoch:05d}").mkdir()
    assert last_checkpoint(tmp_path).name == "epoch-00010"


def test_a_file_without_a_folder_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        list(
            run_ablation(
                phase1_ablation(Phase1Config()),
                Phase1Config(),
                ["all"],
                [1],
                1,
                tmp_path / "nowhere" / "out",
            )
        )


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("{}\n")
    with pytest.raises(InputError, match="is not a file of outcomes"):
        read_outcomes(tmp_path / "out")
