"""Impossible sizes of an encoder are refused, each by its name."""

import pytest

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": [30]}, "multiples of twice model.heads"),
        ({"widths": []}, "multiples of twice model.heads"),
        ({"widths": [0]}, "values of model.widths must be 1 to 4096, but are"),
        ({"widths": [2**20]}, "values of model.widths must be 1 to 4096"),
        ({"widths": [64] * 65}, "entries, expected at most 64 and 16"),
        ({"branches": [(3, 1)] * 17}, "entries, expected at most 64 and 16"),
        ({"branches": [(1_000_001, 1)]}, r"such as \[3,1\] \[5,1\], but is \[1000001,1\]"),
        ({"branches": None}, "odd kernels"),
        ({"widths": None}, "model.widths"),
        ({"heads": 0}, "model.heads must be 1 to 64, but is 0"),
        ({"patch": 0}, "model.patch must be 1 to"),
        ({"segments": 0}, "model.segments must be 1 to"),
        ({"k1": 0}, "model.k1 must be 1 to"),
        ({"k2": 0}, "model.k2 must be 1 to"),
        ({"embedding": 0}, "model.embedding must be 1 to"),
        ({"branches": [(-1, 1)]}, "odd kernels"),
        ({"branches": [(4, 1)]}, "odd kernels"),
        ({"branches": [(3, 0)]}, "dilations of 1 to"),
        ({"branches": []}, "odd kernels"),
        ({"kept_ratio": 0.0}, "model.kept_ratio must be in"),
        ({"kept_ratio": 0.3}, "model.kept_ratio 0.3 needs model.re_dmt 1"),
        ({"attention": False, "re_dmt": 1}, "model.attention false needs model.re_dmt 2"),
        ({"dropout": 1.0}, "model.dropout must be in"),
        ({"drop_path": -0.1}, "model.drop_path must be in"),
    ],
)
def test_an_impossible_size_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelConfig(**changes)
