"""The weights of networks as one stretch of memory, for operations that treat them all alike.

An optimiser step, an average, a sum over processes or a copy of hundreds of small tensors costs a
GPU hundreds of operations; of a stretch of memory it costs one.

Shapes: S networks, P numbers of all of them, Q of these that are trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_DECAYED = (nn.Linear, nn.Conv2d)
_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class _Part:
    """Tensors of one kind, S times.

    Attributes:
        start: Where the part begins in the memory.
        shapes: Shape of each tensor of a network, by name.
    """

    start: int
    shapes: dict[str, torch.Size]

    @property
    def size(self) -> int:
        return sum(shape.numel() for shape in self.shapes.values())


class FlatWeights:
    """Memory that trained parameters and statistics of networks become views of.

    It holds, S times each, the weights of linear maps, which decay; then all other parameters; then
    the statistics of batch normalisation.

    Args:
        models: S networks of equal shape, on their device and in their precision.

    Attributes:
        memory_p: (P,) the memory.
        gradient_q: (Q,) the gradients of the parameters, which are the first Q of it.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.num_models = len(models)
        tensors = [_by_part(model) for model in models]
        self._parts: list[_Part] = []
        start = 0
        for kind in tensors[0]:
            part = _Part(start, {name: tensor.shape for name, tensor in kind.items()})
            self._parts.append(part)
            start += self.num_models * part.size
        pieces = [
            tensor.detach().reshape(-1)
            for number in range(len(self._parts))
            for network in tensors
            for tensor in network[number].values()
        ]
        if len({piece.dtype for piece in pieces}) > 1:
            raise TypeError("The networks have numbers of several types, expected one.")
        self.memory_p = torch.cat(pieces)
        self.gradient_q = torch.zeros_like(self.memory_p[: self._parts[2].start])
        for index, (model, kinds) in enumerate(zip(models, tensors, strict=True)):
            views = self.views(self.memory_p, index)
            gradients = self.views(self.gradient_q, index)
            for name, parameter in (kinds[0] | kinds[1]).items():
                parameter.data, parameter.grad = views[name], gradients[name]
            for name in kinds[2]:
                owner, _, attribute = name.rpartition(".")
                setattr(model.get_submodule(owner), attribute, views[name])

    def parts(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the part of memory that decays, and that of the other parameters."""
        decayed, others, statistics = (part.start for part in self._parts)
        return memory[decayed:others], memory[others:statistics]

    def norms(self, gradient_q: Tensor) -> Tensor:
        """Return the norm of each network's gradient, (S,)."""
        rows = [part.view(self.num_models, -1) for part in self.parts(gradient_q)]
        norms_s: Tensor = torch.stack([row.norm(dim=1) for row in rows]).norm(dim=0)
        return norms_s

    def scale(self, gradient_q: Tensor, factors_s: Tensor) -> None:
        """Multiply the gradient of each network by its factor, in place."""
        for part in self.parts(gradient_q):
            part.view(self.num_models, -1).mul_(factors_s[:, None])

    def views(self, memory: Tensor, index: int) -> dict[str, Tensor]:
        """Return the tensors of a network in memory, or in its first Q numbers, by name."""
        views = {}
        for part in self._parts:
            start = part.start + index * part.size
            if part.start == len(memory):
                break
            for name, shape in part.shapes.items():
                views[name] = memory[start : start + shape.numel()].view(shape)
                start += shape.numel()
        return views

    def stacked(self, decayed: Tensor, others: Tensor) -> dict[str, Tensor]:
        """Return the parameters of all networks, (S, ...) each, by name, with gradient.

        Args:
            decayed: Part of memory that decays.
            others: Part of memory of the other parameters.
        """
        stacked = {}
        for memory, part in zip((decayed, others), self._parts, strict=False):
            sizes = [shape.numel() for shape in part.shapes.values()]
            pieces = memory.view(self.num_models, part.size).split(sizes, 1)
            for (name, shape), piece in zip(part.shapes.items(), pieces, strict=True):
                stacked[name] = piece.view(self.num_models, *shape)
        return stacked

    def fill(self, memory: Tensor, index: int, tensors: Mapping[str, Tensor]) -> None:
        """Copy a network's tensors into memory; those that are missing become 0."""
        for name, view in self.views(memory, index).items():
            if name in tensors:
                view.copy_(tensors[name])
            else:
                view.zero_()


def _by_part(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Return the decaying weights of a network, its other parameters, and its statistics."""
    linear = {id(m.weight) for m in model.modules() if isinstance(m, _DECAYED)}
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return (
        {name: p for name, p in trained.items() if id(p) in linear},
        {name: p for name, p in trained.items() if id(p) not in linear},
        {name: b for name, b in model.named_buffers() if name.endswith(_STATISTICS)},
    )
