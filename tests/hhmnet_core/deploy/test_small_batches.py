"""Linear maps that do not depend on the number of rows."""

import torch
from torch import nn

from hhmnet_core.deploy.small_batches import ENOUGH_ROWS, round_alike


def test_a_few_rows_equal_those_among_many() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 192))
    names = list(model.state_dict())
    x = torch.randn(40, 96)
    expected = model(x)
    round_alike(model)
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
    round_alike(model)
    assert torch.equal(model(x), expected)
