"""Context of a joint: how its values differ from the body's, its parent's, and the next frame's.

A stem that reads one joint at a time cannot compare joints; and where people walk, the one
deviation that standardises all joints makes what a body does in place small. Early fusion of
joints, bones and motions in one network is known from EfficientGCN (Song et al., TPAMI 2022); here
each modality has its own network, whose stem reads the modality and its differences.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hhmnet_core.models.config import Difference
from hhmnet_core.skeleton.layouts import Layout


class Context(nn.Module):
    """Differences of joints: (R, T, V, C) -> (G, R, T, V, C), for R bodies of T frames.

    Args:
        differences: G names: "body", a joint's value minus the mean over the joints of its frame;
            "parent", minus its parent's, zero at the centre; "next", the next frame's value minus
            its own, zero in the last frame.
        layout: Skeleton layout; gives V and the parents.
    """

    parents_v: Tensor

    def __init__(self, differences: Sequence[Difference], layout: Layout) -> None:
        super().__init__()
        self.differences = tuple(differences)
        self.register_buffer("parents_v", torch.tensor(layout.parents), persistent=False)

    def forward(self, x_rtvc: Tensor) -> Tensor:
        found = [self._difference(name, x_rtvc) for name in self.differences]
        return torch.stack(found) if found else x_rtvc.new_empty(0, *x_rtvc.shape)

    def _difference(self, name: Difference, x_rtvc: Tensor) -> Tensor:
        if name == "body":
            return x_rtvc - x_rtvc.mean(2, keepdim=True)
        if name == "parent":
            return x_rtvc - x_rtvc.index_select(2, self.parents_v)
        following = torch.cat([x_rtvc[:, 1:], x_rtvc[:, -1:]], 1)
        return following - x_rtvc
