"""An optimiser of several networks against one of each, and its limit of the gradient."""

from typing import Literal

import pytest
import torch
from torch import nn

from hhmnet_core.training.flat_optimizer import FlatOptimizer
from hhmnet_core.training.optim import OptimConfig, average_weight


def make_model(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()


def take_step(model: nn.Module, step: int) -> None:
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
    model(x).square().sum().backward()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_networks_together_learn_what_torch_teaches_each(name: Literal["adamw", "sgd"]) -> None:
    config = OptimConfig(name=name, weight_decay=0.1, clip=0.5, ema=0.9)
    models, plain = [make_model(1), make_model(2)], [make_model(1), make_model(2)]
    optimizer = FlatOptimizer(models, config)
    others = []
    for model in plain:
        groups = [
            {"params": [m.weight for m in model if isinstance(m, nn.Linear)], "weight_decay": 0.1},
            {"params": [m.bias for m in model if isinstance(m, nn.Linear)], "weight_decay": 0.0},
        ]
        others.append(
            torch.optim.AdamW(groups)
            if name == "adamw"
            else torch.optim.SGD(groups, lr=1, momentum=0.9, nesterov=True)
        )
    average = [p.detach().clone() for p in plain[1].parameters()]
    for step, rate in enumerate((0.1, 0.05, 0.02)):
        for model, other in zip(plain, others, strict=True):
            take_step(model, step)
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            for group in other.param_groups:
                group["lr"] = rate
            other.step()
            other.zero_grad()
        for model in models:
            take_step(model, step)
        weight = 1 - min(0.9, (1 + step) / (10 + step))
        optimizer.update(rate, average_weight(0.9, step))
        average = [
            a.lerp(p.detach(), weight) for a, p in zip(average, plain[1].parameters(), strict=True)
        ]
    for model, expected in zip(models, plain, strict=True):
        for parameter, reference in zip(model.parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(parameter, reference, rtol=1e-12, atol=1e-12)
    averaged = optimizer.weights.views(optimizer.average_p, 1)
    for (key, _), reference in zip(plain[1].named_parameters(), average, strict=True):
        torch.testing.assert_close(averaged[key], reference, rtol=1e-12, atol=1e-12)


def test_a_small_gradient_and_one_without_a_limit_stay_as_they_are() -> None:
    for clip in (100.0, 0.0):
        model = make_model(1)
        before = model[2].bias.detach().clone()
        config = OptimConfig(name="sgd", weight_decay=0, clip=clip)
        optimizer = FlatOptimizer([model], config)
        take_step(model, 0)
        gradient = model[2].bias.grad.clone()
        optimizer.update(0.1, 1.0)
        torch.testing.assert_close(model[2].bias.detach(), before - 0.19 * gradient)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_the_state_of_one_network_goes_from_one_optimiser_to_another(
    name: Literal["adamw", "sgd"],
) -> None:
    """As where the modalities of a run are spread over other workers than before."""
    config = OptimConfig(name=name, weight_decay=0.1)
    models, again = [make_model(1), make_model(2)], [make_model(1), make_model(2)]
    together, alone = FlatOptimizer(models, config), [FlatOptimizer([m], config) for m in again]
    for model in models:
        take_step(model, 0)
    together.update(0.1, 0.9)
    for index, optimizer in enumerate(alone):
        again[index].load_state_dict(models[index].state_dict())
        for key, values in together.state(index).items():
            optimizer.load_state(0, key, {n: v.clone() for n, v in values.items()})
    back = FlatOptimizer([make_model(1), make_model(2)], config)
    for index, optimizer in enumerate(alone):
        for key, values in optimizer.state(0).items():
            back.load_state(index, key, {n: v.clone() for n, v in values.items()})
    for index in range(2):
        for key, values in together.state(index).items():
            for each, value in values.items():
                assert torch.equal(back.state(index)[key][each], value)
    for model in [*models, *again]:
        take_step(model, 1)
    together.update(0.1, 0.8)
    for optimizer in alone:
        optimizer.update(0.1, 0.8)
    for one, other in zip(models, again, strict=True):
        for parameter, reference in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(parameter, reference, rtol=1e-13, atol=1e-13)


class Scaled(nn.Module):
    """A network one of whose parameters is a single number without a dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.factor = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.linear(x) * self.factor
        return out


@pytest.mark.parametrize("first", ["factor", "linear.weight"])
def test_state_of_a_parameter_without_dimensions_is_no_number_of_steps(first: str) -> None:
    """In whatever order a file lists the parameters."""
    model, again = Scaled(), Scaled()
    optimizer, other = (FlatOptimizer([each], OptimConfig()) for each in (model, again))
    model(torch.ones(4, 3)).square().sum().backward()
    optimizer.update(0.1, 1.0)
    for key, values in optimizer.state(0).items():
        names = sorted(values, key=lambda name: name != first)
        other.load_state(0, key, {name: values[name].clone() for name in names})
    for key, values in optimizer.state(0).items():
        for name, value in values.items():
            assert torch.equal(other.state(0)[key][name], value), (key, name)
