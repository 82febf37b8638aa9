"""Config of phase 2: values that it refuses, and the ones that record it."""

import re
from collections.abc import Callable

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.identity import identity
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.training.optim import OptimConfig
from hhmnet_core.training.phase2.config import GuidanceConfig, PartsConfig, Phase2Config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: GuidanceConfig(modality="video"),
            "guidance.modality must be one of joint, bone, joint_motion, bone_motion, but is "
            "'video'",
        ),
        (lambda: PartsConfig(weight=-1), "parts.weight must be at least 0, but is -1"),
        (lambda: PartsConfig(temperature=0), "parts.temperature must be above 0, but is 0"),
        (
            lambda: Phase2Config(optim=OptimConfig(compile=True)),
            "optim.compile is true, but the video network of phase 2 is not compiled",
        ),
        (lambda: Phase2Config(seed=-1), "seed must be 0 to 9223372036854775807, but is -1"),
    ],
)
def test_impossible_values_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        make()


def test_a_config_is_read_back_from_its_identity() -> None:
    config = Phase2Config(
        video=VideoModelConfig(widths=[8, 16], depths=[1, 1]),
        guidance=GuidanceConfig(mode="random", modality="bone"),
        parts=PartsConfig(mode="body"),
        seed=7,
    )
    assert from_json(Phase2Config, identity(config)) == config
