"""Memory of weights: what its views and gradients are, and what decays."""

import torch
from torch import nn

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.training.flat_weights import FlatWeights


def make_model(seed: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_networks_live_in_the_memory_and_their_gradients_in_theirs() -> None:
    plain, models = [make_model(1), make_model(2)], [make_model(1), make_model(2)]
    flat, x = FlatWeights(models), torch.randn(8, 3)
    for index in range(2):
        for each in (plain[index], models[index]):
            each(x).square().sum().backward()
        gradients, views = (flat.views(m, index) for m in (flat.gradient_q, flat.memory_p))
        for name, parameter in plain[index].named_parameters():
            assert parameter.grad is not None
            assert torch.equal(gradients[name], parameter.grad)
            assert torch.equal(views[name], parameter)
        assert torch.equal(views["1.running_mean"], plain[index][1].running_mean)
        assert models[index].state_dict().keys() == plain[index].state_dict().keys()
    flat.memory_p.zero_()
    for model in models:
        assert not any(p.any() for p in model.parameters()) and not model[1].running_var.any()


def test_stacked_parameters_are_those_of_each_network_with_gradient() -> None:
    models = [make_model(seed) for seed in range(3)]
    flat = FlatWeights(models)
    decayed, others = map(nn.Parameter, flat.parts(flat.memory_p))
    decayed.grad, others.grad = flat.parts(flat.gradient_q)
    stacked = flat.stacked(decayed, others)
    for index, model in enumerate(models):
        for name, parameter in model.named_parameters():
            assert torch.equal(stacked[name][index], parameter)
    (stacked["2.bias"][1] * torch.tensor([3.0, 4.0])).sum().backward()
    assert models[1][2].bias.grad.tolist() == [3, 4] and flat.gradient_q.sum() == 7


def test_each_network_has_its_own_norm_and_is_scaled_alone() -> None:
    models = [make_model(seed) for seed in range(2)]
    flat = FlatWeights(models)
    for index, model in enumerate(models):
        model(torch.randn(8, 3)).square().sum().backward()
        gradients = torch.cat([p.grad.flatten() for p in model.parameters()])
        torch.testing.assert_close(flat.norms(flat.gradient_q)[index], gradients.norm())
    before = [models[index][0].weight.grad.clone() for index in range(2)]
    flat.scale(flat.gradient_q, torch.tensor([1.0, 0.5]))
    assert torch.equal(models[0][0].weight.grad, before[0])
    assert torch.equal(models[1][0].weight.grad, before[1] / 2)


def test_weights_that_are_frozen_stay_outside() -> None:
    model = make_model()
    model[0].requires_grad_(False)
    flat = FlatWeights([model])
    assert set(flat.views(flat.gradient_q, 0)) == {"2.weight", "2.bias", "1.weight", "1.bias"}
    assert model[0].weight.grad is None


def test_filled_memory_is_zero_where_tensors_are_missing() -> None:
    flat = FlatWeights([make_model(1), make_model(2)])
    first = flat.views(flat.memory_p, 0)["2.bias"].clone()
    flat.fill(flat.memory_p, 1, {"2.bias": torch.tensor([1.0, 2.0], dtype=torch.float64)})
    assert flat.views(flat.memory_p, 1)["2.bias"].tolist() == [1, 2]
    assert not flat.views(flat.memory_p, 1)["0.weight"].any()
    assert torch.equal(flat.views(flat.memory_p, 0)["2.bias"], first)


def test_only_linear_maps_decay() -> None:
    model = Stst(ModelConfig(widths=[16, 32], heads=2), get_layout("kinect_v1_20"), 3)
    flat = FlatWeights([model])
    decayed, _ = flat.parts(flat.memory_p)
    for name, view in flat.views(torch.arange(len(flat.gradient_q)), 0).items():
        parameter = model.get_parameter(name)
        is_matrix = parameter.dim() > 1 and not name.endswith(("embedding", "map", "hop_bias"))
        assert (view < len(decayed)).all() if is_matrix else (view >= len(decayed)).all(), name
