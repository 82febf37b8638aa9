"""Changing fields of a config by their dotted names."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.overrides import apply_overrides
from hhmnet_platform.runs.config import Phase1Job


def test_only_the_named_fields_change() -> None:
    job = Phase1Job()
    changed = apply_overrides(job, {"contrast.temperature": 0.2, "optim.epochs": 5, "seed": 4})
    assert (changed.contrast.temperature, changed.optim.epochs, changed.seed) == (0.2, 5, 4)
    assert job == Phase1Job()
    before = {"contrast.temperature": 0.1, "optim.epochs": 12, "seed": 1}
    assert apply_overrides(changed, before) == job


def test_two_fields_of_one_group_both_change() -> None:
    optim = apply_overrides(Phase1Job(), {"optim.epochs": 5, "optim.lr": 0.5}).optim
    assert (optim.epochs, optim.lr) == (5, 0.5)


def test_values_are_checked_by_the_config() -> None:
    with pytest.raises(InputError, match=r"epochs .*-1"):
        apply_overrides(Phase1Job(), {"optim.epochs": -1})
