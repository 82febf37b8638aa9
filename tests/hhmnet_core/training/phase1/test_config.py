"""Config of phase 1: values that it refuses, and the ones that record it."""

import re
from collections.abc import Callable

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.from_json import from_json
from hhmnet_core.identity import identity
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.training.phase1.config import ContrastConfig, Phase1Config


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Phase1Config(seed=-1), "seed must be 0 to 9223372036854775807, but is -1"),
        (
            lambda: Phase1Config(data=DataConfig(frames=2)),
            "model.patch must be at most data.frames (2), but is 4",
        ),
        (lambda: ContrastConfig(weight=-1), "contrast.weight must be at least 0, but is -1"),
        (lambda: ContrastConfig(temperature=0), "contrast.temperature must be above 0, but is 0"),
    ],
)
def test_impossible_values_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        make()


def test_a_config_is_read_back_from_its_identity() -> None:
    config = Phase1Config(
        data=DataConfig(frames=16, align=True),
        model=ModelConfig(widths=[16, 32], heads=2, branches=[(5, 1), (3, 2)]),
        contrast=ContrastConfig(positives="class"),
        seed=7,
    )
    assert from_json(Phase1Config, identity(config)) == config
