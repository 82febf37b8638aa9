"""Outcomes: files of earlier versions stay readable, log-loss is the natural one."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.fusion.scores import ScoreTable
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_platform.ablation.outcomes import Outcome, Scores, read_outcomes, scores_of
from hhmnet_platform.storage.line_files import append_line


def test_file_of_an_earlier_version_is_readable(tmp_path: Path) -> None:
    old = {"variant": "all", "seed": 3, "config": {}, "digest": "ab", "top1": {"fusion": 0.5}}
    new = Outcome(
        "all", 4, {}, "ab", {"joint": 0.5}, {"joint": 1.5}, "nw_ucla 1-2", ["joint"], "val", 2.5,
        {"mask off": Scores({"joint": 0.25}, {"joint": 1.75})},
    )  # fmt: skip
    file = tmp_path / "out"
    file.write_text(json.dumps(old) + "\n" + json.dumps(asdict(new)) + "\n")
    first, second = read_outcomes(file)
    assert first == Outcome("all", 3, {}, "ab", {"fusion": 0.5})
    assert (first.log_loss, first.bench, first.modalities) == ({}, "", list(MODALITIES))
    assert second == new


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"top1": {"fusion": 7.5}}, "line 2: top1 of fusion is 7.5, expected 0 to 1"),
        ({"top1": {"fusion": float("nan")}}, "line 2: top1 of fusion is nan"),
        ({"log_loss": {"joint": float("nan")}}, "line 2: log_loss of joint is nan, expected a num"),
        ({"log_loss": {"joint": float("inf")}}, "line 2: log_loss of joint is inf"),
        ({"knock_outs": {"mask off": {"top1": {"joint": -1.0}, "log_loss": {}}}}, "joint is -1.0"),
    ],
)
def test_scores_that_cannot_be_are_named(
    tmp_path: Path, scores: dict[str, Any], message: str
) -> None:
    good = {"variant": "all", "seed": 3, "config": {}, "digest": "ab", "top1": {"fusion": 0.5}}
    file = tmp_path / "out"
    file.write_text(json.dumps(good) + "\n" + json.dumps(good | scores) + "\n")
    with pytest.raises(InputError, match=message):
        read_outcomes(file)


def test_file_in_a_bucket_is_readable() -> None:
    file = "memory://ablation/outcomes.jsonl"
    assert read_outcomes(file) == []
    known = Outcome("all", 1, {}, "", {"fusion": 0.5})
    append_line(file, asdict(known))
    assert read_outcomes(file) == [known]


def test_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("{}\n")
    with pytest.raises(InputError, match="is not a file of outcomes"):
        read_outcomes(tmp_path / "out")


def test_outcome_cut_at_any_byte_is_trained_again(tmp_path: Path) -> None:
    known = [Outcome("all", seed, {}, "", {"fusion": 0.5}) for seed in (1, 2)]
    first, last = (json.dumps(asdict(each)).encode() + b"\n" for each in known)
    for length in range(len(last) - 1):
        (tmp_path / "out").write_bytes(first + last[:length])
        assert read_outcomes(tmp_path / "out") == known[:1]
        assert (tmp_path / "out").read_bytes() == first


def test_log_loss_is_the_mean_negative_log_of_the_softmax() -> None:
    logits = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 0, 1, 2, 0])
    ids = tuple("abcdefg")
    table = ScoreTable(ids, labels, logits, "", "joint", "test", "0" * 64, ("x", "y", "z"))
    exponentials = np.exp(logits.astype(np.float64))
    expected = -np.log(exponentials[np.arange(7), labels] / exponentials.sum(1)).mean()
    assert scores_of({"joint": table}).log_loss == {"joint": pytest.approx(expected, abs=1e-12)}
