"""Impossible sizes of an encoder are refused, each by its name."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": [30]}, "multiples of twice model.heads"),
        ({"widths": []}, "multiples of twice model.heads"),
        ({"widths": [0]}, "multiples of twice model.heads"),
        ({"heads": 0}, "model.heads must be at least 1, but is 0"),
        ({"patch": 0}, "model.patch must be at least 1"),
        ({"segments": 0}, "model.segments must be at least 1"),
        ({"k1": 0}, "model.k1 must be at least 1"),
        ({"k2": 0}, "model.k2 must be at least 1"),
        ({"embedding": 0}, "model.embedding must be at least 1"),
        ({"branches": [(-1, 1)]}, "odd kernels"),
        ({"branches": [(4, 1)]}, "odd kernels"),
        ({"branches": [(3, 0)]}, "dilations of at least 1"),
        ({"branches": []}, "odd kernels"),
        ({"kept_ratio": 0.0}, "model.kept_ratio must be in"),
        ({"dropout": 1.0}, "model.dropout must be in"),
        ({"drop_path": -0.1}, "model.drop_path must be in"),
    ],
)
def test_an_impossible_size_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelConfig(**changes)
