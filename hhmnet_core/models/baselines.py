"""Two published networks to compare with, ST-GCN and CTR-GCN, implemented from their papers.

- ST-GCN: Yan et al., "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action
  Recognition", AAAI 2018.
- CTR-GCN: Chen et al., "Channel-wise Topology Refinement Graph Convolution for Skeleton-Based
  Action Recognition", ICCV 2021.

Differs from the papers: the input is normalised per body instead of per pair of bodies, and absent
bodies are not computed, which is to the baselines' advantage; the projector for the contrastive
loss is added. Both normalise over the batch, as published.

Shapes: R bodies that are present in the clips, T frames, V joints, C channels, S subsets of the
edges.
"""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.skeleton.layouts import Layout

# (width, temporal stride) of the ten blocks, the same in both papers.
BLOCKS = [(64, 1)] * 4 + [(128, 2)] + [(128, 1)] * 2 + [(256, 2)] + [(256, 1)] * 2


class GraphEncoder(Encoder):
    """An encoder of graph-convolutional blocks; its arguments are those of `Encoder`."""

    batch_independent = False
    settings = frozenset({"embedding"})

    def __init__(
        self,
        config: ModelConfig,
        layout: Layout,
        num_classes: int,
        temperature: float = 0.1,
        learn_temperature: bool = False,
    ) -> None:
        super().__init__(config, layout, num_classes, temperature, learn_temperature)
        self.input_norm = nn.BatchNorm1d(layout.num_joints * layout.channels)
        widths = [layout.channels, *(width for width, _ in BLOCKS)]
        self.blocks = nn.Sequential(
            *(
                self.make_block(width_in, width, stride, residual=depth > 0)
                for depth, (width_in, (width, stride)) in enumerate(
                    zip(widths, BLOCKS, strict=False)
                )
            )
        )
        for module in self.blocks.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    @staticmethod
    def feature_width(config: ModelConfig) -> int:
        return BLOCKS[-1][0]

    @abstractmethod
    def make_block(self, width_in: int, width: int, stride: int, residual: bool) -> nn.Module:
        """Make a block (R, C_in, T, V) -> (R, C, T / stride, V), with a shortcut if `residual`."""

    def forward_features(self, x_rtvc: Tensor, draws_rd: Tensor | None) -> Tensor:
        x_rtvc = self.input_norm(x_rtvc.flatten(2).flatten(0, 1)).view(x_rtvc.shape)
        features: Tensor = self.blocks(x_rtvc.permute(0, 3, 1, 2).contiguous())
        return features.permute(0, 2, 3, 1)


class StGcn(GraphEncoder):
    """ST-GCN: spatial configuration partitioning, temporal kernel 9, learnable edge importance."""

    def make_block(self, width_in: int, width: int, stride: int, residual: bool) -> nn.Module:
        graph = centre_partition(self.layout)
        return _Residual(
            nn.Sequential(
                PartitionedGraphConv(width_in, width, graph),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Conv2d(width, width, (9, 1), (stride, 1), (4, 0)),
                nn.BatchNorm2d(width),
            ),
            _shortcut(width_in, width, stride, residual),
        )


class CtrGcn(GraphEncoder):
    """CTR-GCN: a topology refined for each channel, and a multi-scale temporal convolution."""

    def make_block(self, width_in: int, width: int, stride: int, residual: bool) -> nn.Module:
        graph = direction_partition(self.layout)
        return _Residual(
            nn.Sequential(
                RefinedGraphConv(width_in, width, graph), MultiScaleTemporalConv(width, stride)
            ),
            _shortcut(width_in, width, stride, residual),
        )


class _Residual(nn.Module):
    """relu(body(x) + shortcut(x)), or relu(body(x)) without a shortcut."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        return F.relu(out if self.shortcut is None else out + self.shortcut(x))


def _shortcut(width_in: int, width: int, stride: int, residual: bool) -> nn.Module | None:
    if not residual:
        return None
    if width_in == width and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(width_in, width, 1, (stride, 1)), nn.BatchNorm2d(width))


class PartitionedGraphConv(nn.Module):
    """Graph convolution of ST-GCN, eq. 10: a weight matrix for each subset, edges weighted by M."""

    graph_suv: Tensor

    def __init__(self, width_in: int, width: int, graph_suv: Tensor) -> None:
        super().__init__()
        self.register_buffer("graph_suv", graph_suv, persistent=False)
        self.importance = nn.Parameter(torch.ones_like(graph_suv))
        self.project = nn.Conv2d(width_in, len(graph_suv) * width, 1)

    def forward(self, x_rctv: Tensor) -> Tensor:
        x_rsctv = self.project(x_rctv).unflatten(1, (len(self.graph_suv), -1))
        return torch.einsum("rsctu,suv->rctv", x_rsctv, self.graph_suv * self.importance)


class RefinedGraphConv(nn.Module):
    """Graph convolution of CTR-GCN, eqs. 5 to 10: a learnable, refined topology for each subset."""

    def __init__(self, width_in: int, width: int, graph_suv: Tensor) -> None:
        super().__init__()
        self.topology = nn.Parameter(graph_suv.clone())
        self.alpha = nn.Parameter(torch.zeros(1))
        self.refinements = nn.ModuleList(TopologyRefinement(width_in, width) for _ in graph_suv)
        self.norm = nn.BatchNorm2d(width)
        nn.init.constant_(self.norm.weight, 1e-6)  # as published: a block starts as its shortcut
        self.shortcut = _shortcut(width_in, width, 1, residual=True)

    def forward(self, x_rctv: Tensor) -> Tensor:
        summed = sum(
            refine(x_rctv, topology_uv, self.alpha)
            for refine, topology_uv in zip(self.refinements, self.topology, strict=True)
        )
        assert self.shortcut is not None
        return F.relu(self.norm(summed) + self.shortcut(x_rctv))


class TopologyRefinement(nn.Module):
    """One subset: topology A + alpha Q(tanh(theta(x)_u - phi(x)_v)), both pooled over time."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        reduced = 8 if width_in <= 3 else width_in // 8
        self.theta = nn.Conv2d(width_in, reduced, 1)
        self.phi = nn.Conv2d(width_in, reduced, 1)
        self.transform = nn.Conv2d(width_in, width, 1)
        self.correlate = nn.Conv2d(reduced, width, 1)

    def forward(self, x_rctv: Tensor, topology_uv: Tensor, alpha: Tensor) -> Tensor:
        theta_rcu, phi_rcv = self.theta(x_rctv).mean(2), self.phi(x_rctv).mean(2)
        pairs_rcuv = torch.tanh(theta_rcu.unsqueeze(3) - phi_rcv.unsqueeze(2))
        refined_rcuv = self.correlate(pairs_rcuv) * alpha + topology_uv
        return torch.einsum("rcuv,rctv->rctu", refined_rcuv, self.transform(x_rctv))


class MultiScaleTemporalConv(nn.Module):
    """Temporal convolution of CTR-GCN: kernel 5 at dilations 1 and 2, max-pooling, 1 x 1."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        quarter = width // 4

        def pointwise(stride: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(width, quarter, 1, (stride, 1)), nn.BatchNorm2d(quarter)]

        self.branches = nn.ModuleList(
            nn.Sequential(*layers)
            for layers in (
                *(
                    [
                        *pointwise(),
                        nn.ReLU(),
                        nn.Conv2d(quarter, quarter, (5, 1), (stride, 1), (2 * d, 0), (d, 1)),
                        nn.BatchNorm2d(quarter),
                    ]
                    for d in (1, 2)
                ),
                [
                    *pointwise(),
                    nn.ReLU(),
                    nn.MaxPool2d((3, 1), (stride, 1), (1, 0)),
                    nn.BatchNorm2d(quarter),
                ],
                pointwise(stride),
            )
        )

    def forward(self, x_rctv: Tensor) -> Tensor:
        return torch.cat([branch(x_rctv) for branch in self.branches], 1)


def centre_partition(layout: Layout) -> Tensor:
    """Return the spatial configuration partitioning of ST-GCN, (3, V, V).

    The subsets are the neighbours u of each joint v that are as far from the centre as v, nearer
    and further; v's neighbours are averaged.
    """
    near_uv = (layout.hops <= 1).float()
    near_uv = near_uv / near_uv.sum(0)
    depth = layout.hops[layout.centre]
    further_uv = depth[:, None] - depth
    return torch.stack(
        [near_uv * chosen for chosen in (further_uv == 0, further_uv < 0, further_uv > 0)]
    )


def direction_partition(layout: Layout) -> Tensor:
    """Return the three subsets of CTR-GCN, (3, V, V): self, inward and outward edges.

    Columns of inward and outward edges are normalised.
    """
    inward_uv = torch.zeros(layout.num_joints, layout.num_joints)
    for child, parent in layout.bones:
        inward_uv[parent, child] = 1
    outward_uv = inward_uv.T
    return torch.stack(
        [
            torch.eye(layout.num_joints),
            *(graph / graph.sum(0).clamp_min(1) for graph in (inward_uv, outward_uv)),
        ]
    )
