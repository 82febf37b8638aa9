"""SK-TC: Selective Kernel Temporal Convolution.

Short- and long-range branches over time are summed with weights for each channel that depend on
the input (Li et al., "Selective Kernel Networks", CVPR 2019, eqs. 1 to 6: pool, reduce by 16 to at
least 32 channels, softmax over the branches). Differs from that paper: the branches work on half of
the channels, between two pointwise layers, the pooling is over frames and joints, and there is no
batch normalisation. The name is from the abstract of HHMNet (Zhang et al., ACM MM 2023); below the
abstract the design is this project's own.

Shapes: R bodies that are present in the clips, T frames, V joints, C channels, C' = C / 2, B
branches.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SkTc(nn.Module):
    """One SK-TC layer: (R, T, V, C) -> (R, T, V, C), to be added to its input.

    Args:
        width: C, even.
        branches: (kernel, dilation) of each branch; kernels are odd.
        select: Whether the branches are weighted by learned selection; otherwise they are averaged.
    """

    def __init__(self, width: int, branches: list[tuple[int, int]], select: bool) -> None:
        super().__init__()
        inner = width // 2
        self.norm = nn.LayerNorm(width)
        self.reduce = nn.Linear(width, inner)
        self.branches = nn.ModuleList(
            nn.Conv2d(
                inner,
                inner,
                (kernel, 1),
                padding=((kernel - 1) // 2 * dilation, 0),
                dilation=(dilation, 1),
            )
            for kernel, dilation in branches
        )
        self.select = select
        if select:
            hidden = max(inner // 16, 32)
            self.squeeze = nn.Linear(inner, hidden)
            self.excite = nn.Linear(hidden, len(branches) * inner)
        self.expand = nn.Linear(inner, width)

    def branch_weights(self, summed_rtvc: Tensor) -> Tensor:
        """Return the branches' weights (R, B, C'), of sum 1, from their sum (R, T, V, C')."""
        pooled = F.relu(self.squeeze(summed_rtvc.mean((1, 2))))
        logits = self.excite(pooled).unflatten(-1, (len(self.branches), -1))
        weights: Tensor = logits.softmax(1, dtype=self.norm.weight.dtype)
        return weights.to(logits.dtype)

    def forward(self, x_rtvc: Tensor) -> Tensor:
        h_rtvc = F.relu(self.reduce(self.norm(x_rtvc)))
        # A view in channels-last memory format, which the convolutions read without a copy.
        h_rctv = h_rtvc.permute(0, 3, 1, 2)
        outputs = [branch(h_rctv).permute(0, 2, 3, 1) for branch in self.branches]
        summed = sum(outputs[1:], outputs[0])
        if self.select:
            weights = self.branch_weights(summed)[:, :, None, None]
            fused = outputs[0] * weights[:, 0]
            for b, output in enumerate(outputs[1:], 1):
                fused = torch.addcmul(fused, output, weights[:, b])
        else:
            fused = summed / len(outputs)
        out: Tensor = self.expand(F.relu(fused))
        return out
