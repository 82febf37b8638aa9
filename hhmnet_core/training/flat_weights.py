"""The weights of a network as one row of numbers, for operations that treat them all alike.

An optimiser step, an average, a sum over processes or a copy of hundreds of small tensors costs
hundreds of operations on a GPU; of a row it costs one.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_DECAYED = (nn.Linear, nn.Conv2d)
_STATISTICS = ("running_mean", "running_var")


class FlatWeights:
    """A row that the trained parameters and the statistics of a network become views of.

    It holds the weights of linear maps, which decay, then all other parameters, then the statistics
    of batch normalisation.

    Args:
        model: The network, on its device and in its precision.

    Attributes:
        row_p: (P,) the row.
        gradient_q: (Q,) the gradients of the parameters, which are the first Q of the row.
        slices: The part of weights that decay, and the part of other parameters.
    """

    def __init__(self, model: nn.Module) -> None:
        linear = {id(m.weight) for m in model.modules() if isinstance(m, _DECAYED)}
        parameters = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        parameters.sort(key=lambda each: id(each[1]) not in linear)
        statistics = [(n, b) for n, b in model.named_buffers() if n.endswith(_STATISTICS)]
        self._shapes = {name: tensor.shape for name, tensor in [*parameters, *statistics]}
        decayed = sum(p.numel() for _, p in parameters if id(p) in linear)
        trained = sum(p.numel() for _, p in parameters)
        self.slices = slice(0, decayed), slice(decayed, trained)
        self.row_p = torch.cat([t.detach().reshape(-1) for _, t in [*parameters, *statistics]])
        self.gradient_q = torch.zeros_like(self.row_p[:trained])
        views, gradients = self.views(self.row_p), self.views(self.gradient_q)
        for name, parameter in parameters:
            parameter.data, parameter.grad = views[name], gradients[name]
        for name, _ in statistics:
            owner, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(owner), attribute, views[name])

    def views(self, row: Tensor) -> dict[str, Tensor]:
        """Return the tensors of a row, or of its beginning, by name."""
        views, start = {}, 0
        for name, shape in self._shapes.items():
            if start == len(row):
                break
            views[name] = row[start : start + shape.numel()].view(shape)
            start += shape.numel()
        return views

    def row_of(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Return the row (P,) of tensors by name, in the network's precision; 0 for others."""
        row_p = torch.zeros_like(self.row_p)
        for name, view in self.views(row_p).items():
            if name in tensors:
                view.copy_(tensors[name])
        return row_p
