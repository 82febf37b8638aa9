"""Fusions with fixed weights, against sums of logits."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from finished_runs import write_finished_run
from rich.console import Console

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.align import keep_shared_clips
from hhmnet_core.fusion.scores import ScoreTable, write_scores
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.fusion.fixed_weights import FixedFusion, fixed_table, run_fixed_fusion

IDS = tuple(f"clip{number}" for number in range(60))


def network(seed: int, clips: int = len(IDS), copies: int = 0) -> ScoreTable:
    labels = np.arange(clips) % 3
    logits = 1.5 * np.eye(3)[labels] + np.random.default_rng(seed).normal(size=(clips, 3))
    return ScoreTable(
        IDS[:clips], labels, logits.astype(np.float32), "run", "joint", "test", "d" * 64,
        ("a", "b", "c"), frozenset(IDS[:copies]),
    )  # fmt: skip


def printed(networks: dict[tuple[str, str], ScoreTable]) -> str:
    out = StringIO()
    Console(file=out, width=120).print(fixed_table(networks))
    return out.getvalue()


def rows(networks: dict[tuple[str, str], ScoreTable]) -> dict[str, list[str]]:
    """Return the cells of each line, by its name."""
    lines = [
        line.strip("│ \n").split("│") for line in printed(networks).splitlines() if "│" in line
    ]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


def share(tables: list[ScoreTable], weights: list[float], first: int = 0) -> str:
    logits = sum(w * t.logits.astype(np.float64) for w, t in zip(weights, tables, strict=True))
    assert not isinstance(logits, int)
    return f"{(logits.argmax(1) == tables[0].labels)[first:].mean():.1%}"


def test_fusions_are_sums_of_logits() -> None:
    tables = [network(seed, copies=20) for seed in range(8)]
    names = [(run, member) for run in ("one", "two") for member in MODALITIES]
    found = rows(dict(zip(names, tables, strict=True)))
    for name, table in zip(names, tables, strict=True):
        assert found["/".join(name)][0] == share([table], [1])
    for name, weights in (
        ("one, equal", [1.0] * 4 + [0] * 4),
        ("two, equal", [0.0] * 4 + [1] * 4),
        ("all, equal", [1.0] * 8),
        ("all, 0.6 : 0.6 : 0.4 : 0.4", [0.6, 0.6, 0.4, 0.4] * 2),
        ("all, 2 : 2 : 1 : 1", [2.0, 2, 1, 1] * 2),
    ):
        top1, _, without = found[name]
        assert (top1, without) == (share(tables, weights), share(tables, weights, first=20))
    assert len(found) == 8 + 5


def test_video_is_fused_on_its_clips_only() -> None:
    names = [("skeleton", member) for member in MODALITIES]
    networks = dict(zip(names, (network(seed) for seed in range(4)), strict=True))
    film = network(9, clips=40)
    found = rows(networks | {("film", "video"): film})
    filmed = keep_shared_clips([film, *networks.values()])
    assert found["all, equal"][0] == share(filmed, [1] * 5)
    assert found["skeleton/joint"][0] == share([filmed[1]], [1])
    assert not any("0.6" in name for name in found)
    assert "20 test clips without video are not counted" in printed(
        networks | {("film", "video"): film}
    )
    with pytest.raises(InputError):
        fixed_table(networks | {("skeleton", "joint"): network(0, clips=50)})


def test_runs_without_a_validation_split_are_fused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_finished_run(tmp_path, "whole", selection="literature")
    for seed, member in enumerate(MODALITIES):
        table = replace(network(seed), modality=member)
        write_scores(table, f"{run.uri}/scores/{member}-test.parquet")
    run_fixed_fusion(FixedFusion(["whole"], str(tmp_path)))
    output = capsys.readouterr().out
    assert (
        "60 clips of test" in output and "whole/bone_motion" in output and "2 : 2 : 1 : 1" in output
    )
    with pytest.raises(InputError, match=r"none does not exist\. Give finished runs .*has whole\."):
        run_fixed_fusion(FixedFusion(["none"], str(tmp_path)))
