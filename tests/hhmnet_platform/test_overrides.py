"""Changing fields of a config by their dotted names."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_platform.overrides import apply_overrides, checked_overrides
from hhmnet_platform.runs.config import Phase1Job


def test_only_the_named_fields_change() -> None:
    job = Phase1Job()
    changed = apply_overrides(job, {"contrast.temperature": 0.2, "optim.epochs": 5, "seed": 4})
    assert (changed.contrast.temperature, changed.optim.epochs, changed.seed) == (0.2, 5, 4)
    assert job == Phase1Job()
    before = {"contrast.temperature": 0.1, "optim.epochs": 0, "seed": 1}
    assert apply_overrides(changed, before) == job


def test_two_fields_of_one_group_both_change() -> None:
    optim = apply_overrides(Phase1Job(), {"optim.epochs": 5, "optim.lr": 0.5}).optim
    assert (optim.epochs, optim.lr) == (5, 0.5)


def test_values_are_checked_by_the_config() -> None:
    with pytest.raises(InputError, match=r"epochs .*-1"):
        apply_overrides(Phase1Job(), {"optim.epochs": -1})


def test_values_of_a_user_take_the_types_of_their_fields() -> None:
    changed = checked_overrides(
        Phase1Job(), {"optim.lr": "1e-3", "model.branches": [[3, 1]], "seed": 4}, "It"
    )
    assert (changed.optim.lr, changed.model.branches, changed.seed) == (1e-3, [(3, 1)], 4)
    assert checked_overrides(Phase1Job(), {}, "It") == Phase1Job()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model.reranks", True, "^It has the field 'model.reranks', .* one is model.rerank.$"),
        ("model", {}, "^It has the field 'model', which is unknown"),
        ("model.rerank", "no", "^It: model.rerank is 'no', expected bool"),
        ("optim.lr", "fast", "^It: optim.lr is 'fast', expected float"),
        ("optim.epochs", -1, "^It: optim.epochs"),
    ],
)
def test_value_that_a_user_cannot_give_is_named(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_overrides(Phase1Job(), {name: value}, "It")
