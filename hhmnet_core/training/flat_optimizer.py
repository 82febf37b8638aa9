"""Optimiser and averaged weights of networks of equal shape, all of them in the same operations.

Shapes: S networks.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hhmnet_core.training.flat_weights import FlatWeights
from hhmnet_core.training.optim import OptimConfig, make_optimizer

STEPS = "step"  # torch's key of the number of steps


class FlatOptimizer:
    """Takes the optimiser steps of networks of equal shape.

    Args:
        models: S networks, on their device and in their precision.
        config: Optimisation.

    Attributes:
        weights: Weights of the networks.
        average_p: Averaged weights, laid out as the memory of `weights`. Empty without an average.
    """

    def __init__(self, models: Sequence[nn.Module], config: OptimConfig) -> None:
        self.config, self.weights = config, FlatWeights(models)
        memory_p = self.weights.memory_p
        self.average_p = memory_p.clone() if config.ema else memory_p.new_empty(0)
        decayed, others = map(nn.Parameter, self.weights.parts(self.weights.memory_p))
        decayed.grad, others.grad = self.weights.parts(self.weights.gradient_q)
        self._parts = decayed, others
        self._optimizer = make_optimizer(decayed, others, config)

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters of all networks, (S, ...) each, by name, with gradient."""
        return self.weights.stacked(*self._parts)

    def update(self, rate: float | Tensor, weight: float | Tensor) -> None:
        """Take an optimiser step, and use up the gradients.

        Args:
            rate: Learning rate.
            weight: Weight of the new weights in the averaged ones, see `average_weight`.
        """
        gradient_q = self.weights.gradient_q
        if self.config.clip:
            norms_s = self.weights.norms(gradient_q)
            factors_s = (self.config.clip / (norms_s + 1e-6)).clamp(max=1)
            self.weights.scale(gradient_q, factors_s)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        gradient_q.zero_()
        if self.config.ema:
            with torch.no_grad():
                self.average_p.lerp_(self.weights.memory_p, weight)

    def state(self, index: int) -> dict[str, dict[str, Tensor]]:
        """Return the state of a network's optimiser, by its key, then by name of a parameter."""
        decayed, others = (self._optimizer.state[part] for part in self._parts)
        state = {}
        for key, value in decayed.items():
            if key == STEPS:
                names = self.weights.views(self.weights.gradient_q, index)
                state[key] = dict.fromkeys(names, value)
            else:
                state[key] = self.weights.views(torch.cat([value, others[key]]), index)
        return state

    def load_state(self, index: int, key: str, values: dict[str, Tensor]) -> None:
        """Restore a value of a network's optimiser, as `state` returned it."""
        gradient_q = self.weights.gradient_q
        states = [self._optimizer.state[part] for part in self._parts]
        if key == STEPS:  # the same for all parameters, of which some may have none
            for state in states:
                state[key] = next(iter(values.values())).to(gradient_q.device).clone()
            return
        known = [state.get(key) for state in states]
        row_q = torch.zeros_like(gradient_q)
        if known[0] is not None and known[1] is not None:
            row_q = torch.cat(known)
        self.weights.fill(row_q, index, values)
        for state, value in zip(states, self.weights.parts(row_q), strict=True):
            state[key] = value.clone()
