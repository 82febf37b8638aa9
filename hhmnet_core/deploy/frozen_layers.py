"""Layers of networks that are not trained any more, which round a few rows as they round many.

Libraries of matrix products and convolutions have other kernels for a few rows, whose sums are
rounded in another order. In a network whose attention ranks joints, such a difference of 1e-7 may
decide which joints are neighbours, and then a prediction depends on the size of its batch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENOUGH_ROWS = 4  # from which on no difference was seen, with MKL and oneDNN on AVX-512


def freeze_layers(model: nn.Module) -> None:
    """Let every convolution, and every linear map of vectors, compute `ENOUGH_ROWS` or more."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = _Linear
        elif type(module) is nn.Conv2d:
            module.__class__ = _Conv2d


class _Linear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 2 or not _is_small(x):
            return super().forward(x)
        return super().forward(F.pad(x, (0, 0, 0, ENOUGH_ROWS - len(x))))[: len(x)]


class _Conv2d(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        if not _is_small(input):
            return super().forward(input)
        padding = (0, 0) * (input.dim() - 1) + (0, ENOUGH_ROWS - len(input))
        return super().forward(F.pad(input, padding))[: len(input)]


def _is_small(x: Tensor) -> bool:
    # An exported graph is for batches of any size.
    return not torch.compiler.is_exporting() and len(x) < ENOUGH_ROWS
