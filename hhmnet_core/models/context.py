"""Context of a joint: differences to the body, its parent and the next frame; distances to ends.

A stem that reads one joint at a time cannot compare joints; and where people walk, the one
deviation that standardises all joints makes what a body does in place small. Early fusion of
joints, bones and motions in one network is known from EfficientGCN (Song et al., TPAMI 2022); here
each modality has its own network, whose stem reads the modality and its differences.

Distances stay as they are when a skeleton is turned, so they are the same for every camera. A
linear stem cannot compute them from coordinates.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from hhmnet_core.skeleton.layouts import Layout

# The gradient of an end's distance to itself is finite by this. ONNX's exporter takes 1e-8 for 0.
_SMALLEST_SQUARE = 1e-6

Difference = Literal["body", "parent", "next"]


class Differences(nn.Module):
    """Differences of joints: (R, T, V, C) -> (G, R, T, V, C), for R bodies of T frames.

    Args:
        names: G of them: "body", a joint's value minus the mean over the joints of its frame;
            "parent", minus its parent's, zero at the centre; "next", the next frame's value minus
            its own, zero in the last frame.
        layout: Skeleton layout; gives V and the parents.
    """

    parents_v: Tensor

    def __init__(self, names: Sequence[Difference], layout: Layout) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("parents_v", torch.tensor(layout.parents), persistent=False)

    @property
    def number(self) -> int:
        """G."""
        return len(self.names)

    def forward(self, x_rtvc: Tensor) -> Tensor:
        found = [self._difference(name, x_rtvc) for name in self.names]
        return torch.stack(found) if found else x_rtvc.new_empty(0, *x_rtvc.shape)

    def _difference(self, name: Difference, x_rtvc: Tensor) -> Tensor:
        if name == "body":
            return x_rtvc - x_rtvc.mean(2, keepdim=True)
        if name == "parent":
            return x_rtvc - x_rtvc.index_select(2, self.parents_v)
        following = torch.cat([x_rtvc[:, 1:], x_rtvc[:, -1:]], 1)
        return following - x_rtvc


class EndDistances(nn.Module):
    """Distances of joints to the E ends of the body: (R, T, V, C) -> (R, T, V, E).

    Args:
        layout: Skeleton layout; gives V and the ends (`Layout.ends`).
    """

    ends_e: Tensor

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.register_buffer("ends_e", torch.tensor(layout.ends), persistent=False)

    def forward(self, x_rtvc: Tensor) -> Tensor:
        ends_rtec = x_rtvc.index_select(2, self.ends_e)
        squares_rtve = (x_rtvc.unsqueeze(3) - ends_rtec.unsqueeze(2)).square().sum(-1)
        return (squares_rtve + _SMALLEST_SQUARE).sqrt()
