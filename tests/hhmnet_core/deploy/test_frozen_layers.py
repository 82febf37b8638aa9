"""Layers of trained networks: a few rows are rounded as many."""

import copy

import pytest
import torch
from torch import nn

from hhmnet_core.deploy.frozen_layers import ENOUGH_ROWS, freeze_layers


def test_a_few_rows_equal_those_among_many() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 192))
    names = list(model.state_dict())
    x = torch.randn(40, 96)
    expected = model(x)
    freeze_layers(model)
    assert list(model.state_dict()) == names
    assert torch.equal(model(x), expected)
    for rows in range(1, ENOUGH_ROWS + 1):
        found = model(x[:rows])
        assert found.shape == (rows, 192)
        torch.testing.assert_close(found, expected[:rows], rtol=0, atol=1e-6)
        # The rows that are added change nothing.
        assert torch.equal(found, model(torch.cat([x[:rows], torch.zeros(4 - rows, 96)]))[:rows])


def test_other_shapes_are_computed_as_they_are() -> None:
    model = nn.Sequential(nn.Linear(8, 4))
    x = torch.randn(1, 3, 8)
    expected = model(x)
    freeze_layers(model)
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize("joints", [20, 25, 33, 3])
@pytest.mark.parametrize("frames", [1, 6, 13])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((5, 1), 1, (2, 0)), ((5, 1), (2, 1), (2, 0)), ((1, 1), 1, 0), ((3, 3), 1, 1)],
)
def test_convolutions_of_a_few_rows_equal_those_among_many(
    joints: int,
    frames: int,
    kernel: tuple[int, int],
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
) -> None:
    torch.manual_seed(1)
    conv = nn.Conv2d(64, 48, kernel, stride, padding).requires_grad_(False)
    model = nn.Sequential(conv)
    x_rtvc = torch.randn(32, frames, joints, 64)
    for x_rctv in (x_rtvc.permute(0, 3, 1, 2), x_rtvc.permute(0, 3, 1, 2).contiguous()):
        expected = copy.deepcopy(conv)(x_rctv)
        freeze_layers(model)
        assert torch.equal(model(x_rctv), expected)
        for rows in range(1, ENOUGH_ROWS + 1):
            found = model(x_rctv[:rows])
            assert found.shape == expected[:rows].shape
            torch.testing.assert_close(found, expected[:rows], rtol=0, atol=1e-6)
