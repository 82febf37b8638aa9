"""A row of weights: what its views and gradients are, and what decays."""

import torch
from torch import nn

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.layouts import get_layout
from hhmnet_core.training.flat_weights import FlatWeights


def make_model() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_the_network_lives_in_the_row_and_its_gradients_in_theirs() -> None:
    plain, model = make_model(), make_model()
    flat, x = FlatWeights(model), torch.randn(8, 3)
    for each in (plain, model):
        each(x).square().sum().backward()
    gradients, views = flat.views(flat.gradient_q), flat.views(flat.row_p)
    for name, parameter in plain.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(gradients[name], parameter.grad)
        assert torch.equal(views[name], parameter)
    assert torch.equal(views["1.running_mean"], plain[1].running_mean)
    flat.row_p.zero_()
    assert not any(p.any() for p in model.parameters()) and not model[1].running_var.any()
    assert model.state_dict().keys() == plain.state_dict().keys()


def test_weights_that_are_frozen_stay_outside() -> None:
    model = make_model()
    model[0].requires_grad_(False)
    flat = FlatWeights(model)
    assert set(flat.views(flat.gradient_q)) == {"2.weight", "2.bias", "1.weight", "1.bias"}
    assert model[0].weight.grad is None


def test_a_row_of_some_tensors_is_zero_elsewhere() -> None:
    flat = FlatWeights(make_model())
    given = {"2.bias": torch.tensor([1.0, 2.0], dtype=torch.float64)}
    row = flat.row_of(given)
    assert flat.views(row)["2.bias"].tolist() == [1, 2] and row.sum() == 3


def test_only_linear_maps_decay() -> None:
    model = Stst(ModelConfig(widths=[16, 32], heads=2), get_layout("kinect_v1_20"), 3)
    flat = FlatWeights(model)
    decayed, others = flat.slices
    for name, view in flat.views(torch.arange(len(flat.gradient_q))).items():
        parameter = model.get_parameter(name)
        is_matrix = parameter.dim() > 1 and not name.endswith(("embedding", "map", "hop_bias"))
        part = decayed if is_matrix else others
        assert part.start <= view.min() and view.max() < part.stop, name
