"""Variants: each differs in one component, of those that the encoder has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from earlier_version import PHASE1 as EARLIER_RUN
from earlier_version import unpack

from hhmnet_core.errors import InputError
from hhmnet_core.files import folder
from hhmnet_core.fusion.scores import FUSION, ScoreTable
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_platform.ablation.outcomes import scores_of
from hhmnet_platform.ablation.variants import (
    PHASE1,
    last_checkpoint,
    phase1_ablation,
    phase2_ablation,
)


def test_variant_differs_in_one_component() -> None:
    whole = Phase1Config()
    subject = phase1_ablation(whole)
    assert subject.variant(whole, "all", 7) == replace(whole, seed=7)
    no_mask = replace(whole, model=replace(whole.model, mask=False))
    assert subject.variant(whole, "no mask", 1) == no_mask
    identities = {str(subject.identity(subject.variant(whole, name, 1))) for name in PHASE1}
    assert len(identities) == len(PHASE1)


def test_fusion_without_copies_is_a_figure() -> None:
    ids, labels = ("a", "b", "c", "d"), np.array([0, 1, 0, 1])
    logits = np.eye(2, dtype=np.float32)[[0, 0, 0, 1]]  # b is wrong
    table = ScoreTable(ids, labels, logits, "", FUSION, "test", "0" * 64, ("x", "y"))
    assert scores_of({FUSION: table}).top1 == {FUSION: 0.75}
    marked = replace(table, copies=frozenset({"a", "d"}))
    assert scores_of({FUSION: marked}).top1 == {FUSION: 0.75, "fusion without copies": 0.5}


def test_component_that_an_encoder_lacks_is_no_variant() -> None:
    baseline = Phase1Config(model=ModelConfig(name="ctr_gcn"))
    subject = phase1_ablation(baseline)
    assert subject.variant(baseline, "no contrast", 1).contrast.weight == 0
    with pytest.raises(InputError, match="Unknown variant 'no mask'; known are all, no contrast"):
        subject.variant(baseline, "no mask", 1)


def test_phase2_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is neither a run's folder nor a checkpoint"):
        phase2_ablation(str(tmp_path))
    for epoch in (2, 10):
        (tmp_path / f"epoch-{epoch:05d}").mkdir()
    assert last_checkpoint(str(tmp_path)) == f"{tmp_path}/epoch-00010"


def test_guide_in_a_bucket_is_the_same_guide(tmp_path: Path) -> None:
    run = unpack(tmp_path)[1] / "runs" / EARLIER_RUN
    uri = "memory://guide/run"
    for path in folder(str(run)).walk():
        place, _, name = path.rpartition("/")
        folder(f"{uri}/{place}".rstrip("/")).write(name, (run / path).read_bytes())
    local, remote = phase2_ablation(str(run)), phase2_ablation(uri)
    assert remote.identity(Phase2Config()) == local.identity(Phase2Config())
