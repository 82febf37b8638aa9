"""ST-GCN and CTR-GCN against the formulas of their papers, in plain loops."""

import numpy as np
import pytest
import torch

from hhmnet_core.models.baselines import (
    CtrGcn,
    GraphEncoder,
    PartitionedGraphConv,
    StGcn,
    TopologyRefinement,
    centre_partition,
    direction_partition,
)
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.skeleton.layouts import LAYOUTS, get_layout

KINECT = get_layout("kinect_v1_20")


def test_ctr_gcn_has_the_published_number_of_parameters() -> None:
    """1,426,892 was counted on the authors' network for 20 joints, 1 body and 10 classes."""
    named = CtrGcn(ModelConfig(), KINECT, 10).named_parameters()
    assert sum(p.numel() for name, p in named if not name.startswith("projector")) == 1_426_892


@pytest.mark.parametrize("encoder", [StGcn, CtrGcn])
def test_frames_are_halved_twice(encoder: type[GraphEncoder]) -> None:
    model = encoder(ModelConfig(), KINECT, 10)
    assert model.forward_features(torch.randn(2, 16, 20, 3), None).shape == (2, 4, 20, 256)


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
            actual = [same[one, other], nearer[one, other], further[one, other]]
            np.testing.assert_allclose(actual, expected, rtol=1e-6)
    itself, inward, outward = direction_partition(skeleton)
    assert torch.equal(itself, torch.eye(skeleton.num_joints))
    for child, parent in skeleton.bones:
        assert inward[parent, child] == 1  # a child has one parent
        children = sum(p == parent for _, p in skeleton.bones)
        assert outward[child, parent] == pytest.approx(1 / children)


def test_the_ctr_refinement_is_the_sum_of_the_paper() -> None:
    block = TopologyRefinement(3, 64)
    x = torch.randn(2, 3, 5, 20)
    topology, alpha = torch.randn(20, 20), torch.tensor(0.7)
    actual = block(x, topology, alpha).detach().numpy()
    theta, phi, value = (
        np.einsum("rctv,dc->rdtv", x.numpy(), layer.weight.detach().numpy()[:, :, 0, 0])
        + layer.bias.detach().numpy()[:, None, None]
        for layer in (block.theta, block.phi, block.transform)
    )
    theta, phi = theta.mean(2), phi.mean(2)
    mix = block.correlate.weight.detach().numpy()[:, :, 0, 0]
    bias = block.correlate.bias.detach().numpy()
    expected = np.zeros_like(actual)
    for u in range(20):
        for v in range(20):
            refined = np.tanh(theta[:, :, u] - phi[:, :, v]) @ mix.T + bias
            edge = topology[u, v].item() + 0.7 * refined
            expected[..., u] += edge[:, :, None] * value[..., v]
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_the_st_gcn_convolution_is_the_sum_of_the_paper() -> None:
    graph = PartitionedGraphConv(3, 64, centre_partition(KINECT))
    torch.nn.init.uniform_(graph.importance)
    x = torch.randn(2, 3, 4, 20)
    actual = graph(x).detach().numpy()
    weights = graph.project.weight.detach().numpy()[:, :, 0, 0].reshape(3, 64, 3)
    biases = graph.project.bias.detach().numpy().reshape(3, 64)
    edges = (graph.graph_suv * graph.importance).detach().numpy()
    expected = np.zeros_like(actual)
    for weight, bias, edge in zip(weights, biases, edges, strict=True):
        projected = np.einsum("rctu,dc->rdtu", x.numpy(), weight) + bias[:, None, None]
        expected += projected @ edge
    np.testing.assert_allclose(actual, expected, atol=1e-4)
