"""Layers of networks that are not trained any more.

**A few rows are rounded as many.** Libraries of matrix products and convolutions have other
kernels for a few rows, whose sums are rounded in another order. In a network whose attention keeps
the strongest joints, such a difference of 1e-7 may decide which joints these are, and then a
prediction depends on the size of its batch. So rows of zeros are added to a few.

**Values that follow from weights alone are computed once.**

Shapes: R rows, T frames, V joints, C channels, H heads, S segments.
"""

from collections.abc import Callable, Hashable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.models.spatial import ReDmt

ENOUGH_ROWS = 4  # from which on no difference was seen, with MKL and oneDNN on AVX-512


def freeze_layers(model: nn.Module) -> None:
    """Let the layers of a model, whose weights no longer change, compute as stated above."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = _Linear
        elif type(module) is nn.Conv2d:
            module.__class__ = _Conv2d
        elif type(module) is ReDmt:
            module.__class__ = _ReDmt


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


class _ReDmt(ReDmt):
    def _averaging(self, x_rtvc: Tensor, segments: int) -> Tensor:
        key = ("averaging", x_rtvc.shape[1], segments, x_rtvc.dtype, x_rtvc.device)
        (averaging,) = self._once(key, lambda: (super(_ReDmt, self)._averaging(x_rtvc, segments),))
        return averaging

    def _hop_scores(self) -> Tensor:
        key = ("hop_scores", self.hop_bias.dtype, self.hop_bias.device)
        (scores,) = self._once(key, lambda: (super(_ReDmt, self)._hop_scores(),))
        return scores

    def _shares(self) -> tuple[Tensor, Tensor]:
        key = ("shares", self.gamma.dtype, self.gamma.device)
        own, reranked = self._once(key, super()._shares)
        return own, reranked

    def _once(self, key: Hashable, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return what a function computes, from its first call on. Nothing is kept in exports."""
        if torch.compiler.is_exporting():
            return compute()
        kept: dict[Hashable, tuple[Tensor, ...]] = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            kept[key] = compute()
        return kept[key]


def _is_small(x: Tensor) -> bool:
    # An exported graph is for batches of any size.
    return not torch.compiler.is_exporting() and len(x) < ENOUGH_ROWS
