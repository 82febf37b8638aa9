"""The ablation: runs are not repeated, differences are paired by seed."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from video_files import write_video_store

from hhmnet_core.errors import AccessError, InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_platform.ablation.outcomes import Outcome, read_outcomes
from hhmnet_platform.ablation.runner import Bench, Subject, plan_runs, run_ablation
from hhmnet_platform.ablation.tables import summary
from hhmnet_platform.ablation.variants import (
    phase1_ablation,
)


def outcome(variant: str, seed: int, fusion: float) -> Outcome:
    return Outcome(variant, seed, {}, "", {"joint": 0.5, "fusion": fusion})


def run(
    subject: Subject[Phase1Config],
    config: Phase1Config,
    variants: list[str],
    seeds: list[int],
    processes: int,
    file: Path,
) -> list[Outcome]:
    tasks = plan_runs(subject, [Bench("", config, seeds)], variants)
    return list(run_ablation(subject, tasks, processes, file))


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ["no legs"]}, "Unknown variant 'no legs'; known are all, no mask"),
        ({"variants": []}, "at least one variant"),
        ({"variants": ["all", "all"]}, r"each given once, but variants are \['all', 'all'\]"),
        ({"seeds": [2, 1, 2]}, r"but seeds are \[2, 1, 2\]"),
        ({"seeds": []}, "at least one variant, one seed"),
        ({"processes": 0}, "one seed and one process"),
    ],
)
def test_what_cannot_be_run_is_named(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    arguments = {"variants": ["all"], "seeds": [1], "processes": 1, "file": tmp_path / "out"}
    with pytest.raises(InputError, match=message):
        run(phase1_ablation(Phase1Config()), Phase1Config(), **{**arguments, **changes})


def test_a_file_without_a_folder_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        run(
            phase1_ablation(Phase1Config()),
            Phase1Config(),
            ["all"],
            [1],
            1,
            tmp_path / "nowhere" / "out",
        )


def test_a_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("{}\n")
    with pytest.raises(InputError, match="is not a file of outcomes"):
        read_outcomes(tmp_path / "out")


def test_an_outcome_cut_at_any_byte_is_trained_again(tmp_path: Path) -> None:
    known = [outcome("all", 1, 0.8), outcome("no mask", 1, 0.6)]
    first, last = (json.dumps(each.__dict__).encode() + b"\n" for each in known)
    for length in range(len(last) - 1):
        (tmp_path / "out").write_bytes(first + last[:length])
        assert read_outcomes(tmp_path / "out") == known[:1]
        assert (tmp_path / "out").read_bytes() == first


def test_file_that_cannot_be_written_is_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = write_video_store(tmp_path / "store")
    config = Phase1Config(data=DataConfig(store=str(store)))
    subject = replace(phase1_ablation(config), train=pytest.fail)
    monkeypatch.setattr(
        "hhmnet_platform.storage.line_files.os.fsync", lambda _: os.open("/nowhere/a", os.O_RDONLY)
    )
    with pytest.raises(AccessError, match=r"Cannot write .*out"):
        run(subject, config, ["all"], [1], 1, tmp_path / "out")
    assert not (tmp_path / "out").read_bytes()
