"""SK-TC: branch weights against their formula, and joints that do not mix."""

import pytest
import torch
import torch.nn.functional as F

from hhmnet_core.models.temporal import SkTc


@pytest.mark.parametrize("branches", [[(3, 1)], [(3, 1), (5, 2)], [(3, 1), (3, 2), (5, 3)]])
def test_branch_weights_sum_to_one(branches: list[tuple[int, int]]) -> None:
    sktc = SkTc(64, branches, select=True)
    weights = sktc.branch_weights(torch.randn(3, 8, 20, 32))
    assert weights.shape == (3, len(branches), 32)
    torch.testing.assert_close(weights.sum(1), torch.ones(3, 32))


def test_selection_weighs_the_branches() -> None:
    sktc = SkTc(64, [(3, 1), (5, 2)], select=True).double()
    x = torch.randn(2, 8, 20, 64, dtype=torch.float64)
    hidden = F.relu(sktc.reduce(sktc.norm(x)))
    by_branch = []
    for conv, reach in zip(sktc.branches, (1, 4), strict=True):
        padded = F.pad(hidden, (0, 0, 0, 0, reach, reach))
        taps = range(0, 2 * reach + 1, conv.dilation[0])
        kernels = conv.weight[..., 0].unbind(2)
        by_branch.append(
            sum(
                padded[:, tap : tap + 8] @ kernel.T
                for tap, kernel in zip(taps, kernels, strict=True)
            )
            + conv.bias
        )
    weights = sktc.branch_weights(by_branch[0] + by_branch[1])[:, :, None, None]
    fused = by_branch[0] * weights[:, 0] + by_branch[1] * weights[:, 1]
    torch.testing.assert_close(sktc(x), sktc.expand(F.relu(fused)))


def test_unselected_branches_are_averaged() -> None:
    one = SkTc(64, [(3, 1)], select=False)
    two = SkTc(64, [(3, 1), (3, 1)], select=False)
    two.load_state_dict(
        {
            **one.state_dict(),
            **{f"branches.1.{k}": v for k, v in one.branches[0].state_dict().items()},
        }
    )
    x = torch.randn(2, 8, 20, 64)
    torch.testing.assert_close(two(x), one(x))


def test_joints_do_not_mix() -> None:
    sktc = SkTc(32, [(3, 1), (5, 2)], select=False)
    x = torch.randn(1, 8, 20, 32)
    changed = x.clone()
    changed[:, :, 3] += 1
    difference = (sktc(changed) - sktc(x)).abs().amax((0, 1, 3))
    assert difference[3] > 0 and (difference[torch.arange(20) != 3] == 0).all()
