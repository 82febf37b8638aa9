"""Knock-outs: each changes what it names while clips are scored, and nothing afterwards."""

from pathlib import Path

import numpy as np
import pytest
import torch
from made_stores import write_small_store

from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.spatial import ReDmt
from hhmnet_core.models.spatial_v1 import ReDmtV1
from hhmnet_core.store.reading import load_clips
from hhmnet_core.training.epochs import train
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.trainer import Phase1Trainer
from hhmnet_platform.ablation.knock_outs import (
    KNOCK_OUTS,
    by_member,
    knocked_out,
    score_knock_outs,
)
from hhmnet_platform.ablation.outcomes import scores_of


def trained(folder: Path, **model: object) -> Phase1Trainer:
    write_small_store(folder / "store")
    config = Phase1Config(
        DataConfig(store=str(folder / "store"), frames=8, selection="last_epoch"),
        ModelConfig(widths=[8, 8], heads=2, **model),
        optim=OptimConfig(epochs=2, batch=4, lr=0.02, warmup=0, ema=0.5),
    )
    trainer = Phase1Trainer(
        config, load_clips(folder / "store"), Mesh.of(["joint"]), torch.device("cpu")
    )
    for _ in train(trainer, 2, None):
        pass
    return trainer


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Phase1Trainer:
    return trained(tmp_path_factory.mktemp("trained"))


def test_each_part_changes_the_scores_and_is_put_back(trainer: Phase1Trainer) -> None:
    (stream,) = trainer.streams
    before = scores_of(by_member(trainer.tables("test", best=True)))
    attributes = [set(vars(layer)) for layer in stream.model.modules()]
    found = score_knock_outs(trainer, "test")
    assert list(found) == list(KNOCK_OUTS)
    for name, scores in found.items():
        assert scores.log_loss["joint"] != pytest.approx(before.log_loss["joint"], abs=1e-9), name
    assert scores_of(by_member(trainer.tables("test", best=True))) == before
    assert [set(vars(layer)) for layer in stream.model.modules()] == attributes


def test_scores_are_those_of_a_network_without_the_part(trainer: Phase1Trainer) -> None:
    (stream,) = trainer.streams
    found = score_knock_outs(trainer, "test")
    whole = stream.average
    for part, parameter in (
        ("static map zero", "static_map"),
        ("re-ranking term zero", "rerank_weight"),
    ):
        stream.average = {
            name: torch.zeros_like(tensor) if name.endswith(parameter) else tensor
            for name, tensor in whole.items()
        }
        expected = scores_of(by_member(trainer.tables("test", best=True)))
        stream.average = whole
        assert found[part].top1 == expected.top1
        assert found[part].log_loss == {"joint": pytest.approx(expected.log_loss["joint"])}


def test_attention_and_mask_are_exchanged(trainer: Phase1Trainer) -> None:
    (stream,) = trainer.streams
    layer = next(each for each in stream.model.modules() if isinstance(each, ReDmt))
    x_rtvc = torch.randn(6, 2, 20, 8, generator=torch.Generator().manual_seed(1))
    attention, mask = layer.attention(x_rtvc), layer.mask(x_rtvc)
    of_others = [3, 4, 5, 0, 1, 2]
    expected = {
        "another clip's attention": attention[of_others],
        "mean attention": attention.mean(0, keepdim=True).expand_as(attention),
        "no dynamic attention": torch.zeros_like(attention),
        "another clip's mask": mask[of_others],
        "mean mask": mask.mean(0, keepdim=True).expand_as(mask),
    }
    for name, values in expected.items():
        with knocked_out(stream, KNOCK_OUTS[name]) as has_part:
            assert has_part
            found = layer.mask(x_rtvc) if "mask" in name else layer.attention(x_rtvc)
            torch.testing.assert_close(found, values)


def test_parts_of_version_1_are_knocked_out(tmp_path: Path) -> None:
    earlier = trained(tmp_path, re_dmt=1)
    (stream,) = earlier.streams
    layer = next(each for each in stream.model.modules() if isinstance(each, ReDmtV1))
    x_rtvc = torch.randn(6, 2, 20, 8, generator=torch.Generator().manual_seed(1))
    assert (layer.attention(x_rtvc) == 0).any()
    with knocked_out(stream, KNOCK_OUTS["mask off"]):
        assert (layer.attention(x_rtvc) > 0).all()
    found = score_knock_outs(earlier, "test")
    assert set(KNOCK_OUTS) - set(found) == {"another clip's mask", "mean mask"}


def test_part_that_an_encoder_lacks_is_left_out(tmp_path: Path) -> None:
    plain = trained(tmp_path, mask=False, rerank=False)
    found = score_knock_outs(plain, "test")
    assert set(KNOCK_OUTS) - set(found) == {
        "mask off",
        "another clip's mask",
        "mean mask",
        "re-ranking term zero",
    }


def test_copies_are_marked(trainer: Phase1Trainer) -> None:
    trainer.copies = np.sort(trainer.split.test)[:2]
    try:
        found = score_knock_outs(trainer, "test")
    finally:
        del trainer.copies
    assert all("joint without copies" in scores.top1 for scores in found.values())
