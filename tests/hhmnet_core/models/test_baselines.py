"""ST-GCN and CTR-GCN against what their papers print, written out in plain loops."""

import numpy as np
import pytest
import torch

from hhmnet_core.models.baselines import (
    CtrGcn,
    StGcn,
    centre_partition,
    direction_partition,
)
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.registry import build_encoder
from hhmnet_core.skeleton.layouts import LAYOUTS, get_layout

BASELINES = ("st_gcn", "ctr_gcn")


def baseline(name: str, layout: str = "kinect_v1_20", classes: int = 10) -> Encoder:
    torch.manual_seed(0)
    return build_encoder(ModelConfig(name=name), get_layout(layout), classes)


def clips(layout: str = "kinect_v1_20", frames: int = 16, bodies: int = 1) -> torch.Tensor:
    shape = get_layout(layout)
    return torch.randn(3, shape.channels, frames, shape.num_joints, bodies)


def test_ctr_gcn_has_the_published_number_of_parameters() -> None:
    """Counted on the authors' network for 20 joints, 1 body, 10 classes; the contrastive head
    is the house's."""
    named = baseline("ctr_gcn").named_parameters()
    assert sum(p.numel() for name, p in named if not name.startswith("projector")) == 1_426_892


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_time_is_halved_twice_and_every_parameter_learns(name: str, layout: str) -> None:
    model = baseline(name, layout)
    x_rtvc = clips(layout)[..., 0].permute(0, 2, 3, 1)
    assert model.forward_features(x_rtvc, None).shape[1] == 4
    if isinstance(model, CtrGcn):  # at alpha = 0 nothing flows back to the refinements
        for name_, parameter in model.named_parameters():
            if name_.endswith("alpha"):
                torch.nn.init.ones_(parameter)
    encoded = model(clips(layout, bodies=2))
    (encoded.logits_nk.square().sum() + encoded.embedding_ne[:, 0].sum()).backward()
    for name_, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name_
        assert parameter.grad.abs().max() > 0 or name_.endswith("bias"), name_


@pytest.mark.parametrize("name", BASELINES)
def test_scoring_does_not_see_the_batch_but_training_does(name: str) -> None:
    model, x = baseline(name).double(), clips().double()
    model.eval()
    torch.testing.assert_close(model(x[1:2]).logits_nk, model(x).logits_nk[1:2])
    model.train()
    assert (model(x[1:2]).logits_nk - model(x).logits_nk[1:2]).abs().max() > 1e-3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_partitions_are_those_of_the_papers(layout: str) -> None:
    skeleton = get_layout(layout)
    near = skeleton.hops <= 1
    depth = skeleton.hops[skeleton.centre]
    same, nearer, further = centre_partition(skeleton)
    for one in range(skeleton.num_joints):
        for other in range(skeleton.num_joints):
            share = float(near[one, other]) / float(near[:, other].sum())
            step = int(depth[one] - depth[other])
            expected = [share * (step == 0), share * (step < 0), share * (step > 0)]
            found = [same[one, other], nearer[one, other], further[one, other]]
            np.testing.assert_allclose(found, expected, rtol=1e-6)
    itself, inward, outward = direction_partition(skeleton)
    assert torch.equal(itself, torch.eye(skeleton.num_joints))
    for child, parent in skeleton.bones:
        assert inward[parent, child] == 1  # a child has one parent
        children = sum(p == parent for _, p in skeleton.bones)
        assert outward[child, parent] == pytest.approx(1 / children)


def test_ctr_refinement_is_the_sum_of_the_paper() -> None:
    block = next(m for m in baseline("ctr_gcn").modules() if type(m).__name__ == "TopologyRefinement")
    x = torch.randn(2, 3, 5, 20)
    topology, alpha = torch.randn(20, 20), torch.tensor(0.7)
    found = block(x, topology, alpha).detach().numpy()
    theta, phi, value = (
        np.einsum("rctv,dc->rdtv", x.numpy(), layer.weight.detach().numpy()[:, :, 0, 0])
        + layer.bias.detach().numpy()[:, None, None]
        for layer in (block.theta, block.phi, block.transform)
    )
    theta, phi = theta.mean(2), phi.mean(2)
    mix = block.correlate.weight.detach().numpy()[:, :, 0, 0]
    bias = block.correlate.bias.detach().numpy()
    expected = np.zeros_like(found)
    for u in range(20):
        for v in range(20):
            refined = np.tanh(theta[:, :, u] - phi[:, :, v]) @ mix.T + bias
            edge = topology[u, v].item() + 0.7 * refined
            expected[..., u] += edge[:, :, None] * value[..., v]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_st_gcn_convolution_is_the_sum_of_the_paper() -> None:
    graph = next(m for m in baseline("st_gcn").modules() if type(m).__name__ == "PartitionedGraphConv")
    torch.nn.init.uniform_(graph.importance)
    x = torch.randn(2, 3, 4, 20)
    found = graph(x).detach().numpy()
    weights = graph.project.weight.detach().numpy()[:, :, 0, 0].reshape(3, 64, 3)
    biases = graph.project.bias.detach().numpy().reshape(3, 64)
    edges = (graph.graph_suv * graph.importance).detach().numpy()
    expected = np.zeros_like(found)
    for weight, bias, edge in zip(weights, biases, edges, strict=True):
        projected = np.einsum("rctu,dc->rdtu", x.numpy(), weight) + bias[:, None, None]
        expected += projected @ edge
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_names_give_the_networks() -> None:
    assert isinstance(baseline("st_gcn"), StGcn) and isinstance(baseline("ctr_gcn"), CtrGcn)
