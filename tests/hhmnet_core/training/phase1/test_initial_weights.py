"""Training that starts from trained encoders."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_models import make_model

from hhmnet_core.deploy.folders import read_description, read_weights
from hhmnet_core.errors import InputError
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.modalities import MODALITIES
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.mesh import Mesh
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase1.config import Phase1Config
from hhmnet_core.training.phase1.fitting import fit
from hhmnet_core.training.phase1.initial_weights import InitialWeights
from hhmnet_core.training.phase1.trainer import Phase1Trainer

CPU = torch.device("cpu")
CONFIG = Phase1Config(
    data=DataConfig(frames=16),
    model=ModelConfig(widths=[16, 32], heads=2, embedding=8),
    optim=OptimConfig(epochs=2, batch=8),
)


@pytest.fixture(scope="module")
def weights(
    tiny_clips: ClipSet, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, torch.Tensor]]:
    uri = make_model(tiny_clips, tmp_path_factory.mktemp("initial"))
    return read_weights(uri, read_description(uri))


@pytest.mark.parametrize("same", [True, False])
def test_all_but_the_head_and_the_statistics_are_taken_over(
    same: bool, weights: dict[str, dict[str, torch.Tensor]], tiny_clips: ClipSet
) -> None:
    initial = InitialWeights("d" * 64, weights, same)
    new = Phase1Trainer(CONFIG, tiny_clips, Mesh(), CPU)
    trainer = Phase1Trainer(CONFIG, tiny_clips, Mesh(), CPU, initial)
    for stream, other in zip(trainer.streams, new.streams, strict=True):
        state, fresh = stream.model.state_dict(), other.model.state_dict()
        given = weights[stream.member]
        for name, value in state.items():
            is_own = name in ("input_mean", "input_std", "context_std", "log_temperature")
            is_own |= name.startswith("classifier.") and not same
            assert torch.equal(value, fresh[name] if is_own else given[name]), name
        averaged = stream.average["classifier.weight"]
        assert torch.equal(averaged, state["classifier.weight"])
    assert trainer.identity.guide == "d" * 64
    assert new.identity.guide is None


def test_other_weights_make_another_training(
    weights: dict[str, dict[str, torch.Tensor]], tiny_clips: ClipSet, tmp_path: Path
) -> None:
    one = InitialWeights("1" * 64, weights, True)
    for report in fit(CONFIG, tiny_clips, Mesh(), initial=one):
        report.state.save(tmp_path)
        break
    *_, resumed = fit(CONFIG, tiny_clips, Mesh(), resume=tmp_path, initial=one)
    *_, whole = fit(CONFIG, tiny_clips, Mesh(), initial=one)
    assert resumed.metrics == whole.metrics
    for initial in (None, replace(one, digest="2" * 64)):
        with pytest.raises(InputError, match="another config \\(different: guide\\)"):
            next(fit(CONFIG, tiny_clips, Mesh(), resume=tmp_path, initial=initial))


def test_encoders_of_another_size_are_refused(
    weights: dict[str, dict[str, torch.Tensor]], tiny_clips: ClipSet
) -> None:
    config = replace(CONFIG, model=replace(CONFIG.model, widths=[16, 48]))
    with pytest.raises(InputError, match="does not fit the config"):
        Phase1Trainer(config, tiny_clips, Mesh(), CPU, InitialWeights("", weights, True))
    fewer = {each: weights[each] for each in MODALITIES[:2]}
    with pytest.raises(InputError, match="has no joint_motion encoder: it has joint, bone"):
        Phase1Trainer(CONFIG, tiny_clips, Mesh(), CPU, InitialWeights("", fewer, True))
