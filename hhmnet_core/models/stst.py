"""ST&ST: the skeleton encoder of HHMNet, blocks of RE-DMT over joints and SK-TC over frames.

The names are HHMNet's (Zhang et al., ACM MM 2023, 10.1145/3581783.3612560); the design below the
paper's abstract is this project's own. It normalises within a frame and joint (LayerNorm), never
over clips, and takes its random numbers as an argument, so that the results do not depend on how
clips are distributed over workers.

Shapes: N clips, R bodies that are present in the clips, T frames, T' frames of the features, V
joints, C channels, G differences of a joint's context, D random draws.
"""

from dataclasses import fields

import torch
from torch import Tensor, nn

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.context import Context
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.spatial import ReDmt
from hhmnet_core.models.spatial_v1 import ReDmtV1
from hhmnet_core.models.temporal import SkTc
from hhmnet_core.skeleton.layouts import Layout


class Block(nn.Module):
    """RE-DMT, then SK-TC, both with a shortcut: (R, T, V, C_in) -> (R, T / stride, V, C_out)."""

    def __init__(self, config: ModelConfig, layout: Layout, width_in: int, width: int) -> None:
        super().__init__()
        self.stride = 2 if width > width_in else 1
        self.widen = nn.Linear(width_in, width) if width != width_in else nn.Identity()
        self.spatial = _re_dmt(config, layout, width)
        self.temporal = SkTc(width, config.branches, config.select)

    def forward(self, x_rtvc: Tensor, scale_r111: Tensor | None) -> Tensor:
        if self.stride == 2:
            x_rtvc = _halve_frames(x_rtvc)
        x_rtvc = self.widen(x_rtvc)
        x_rtvc = _residual(x_rtvc, self.spatial(x_rtvc), scale_r111)
        return _residual(x_rtvc, self.temporal(x_rtvc), scale_r111)


class Stst(Encoder):
    """The ST&ST encoder; its arguments are those of `Encoder`."""

    context_std: Tensor
    batch_independent = True
    settings = frozenset(field.name for field in fields(ModelConfig)) - {"name"}

    def __init__(
        self,
        config: ModelConfig,
        layout: Layout,
        num_classes: int,
        temperature: float = 0.1,
        learn_temperature: bool = False,
    ) -> None:
        super().__init__(config, layout, num_classes, temperature, learn_temperature)
        first = config.widths[0]
        seen = 1 + len(config.context)
        self.differences = Context(config.context, layout)
        if config.context:  # encoders of earlier versions have no such buffer
            self.register_buffer("context_std", torch.ones(len(config.context)))
            self.statistics = (*self.statistics, "context_std")
        self.stem = nn.Linear(config.patch * seen * layout.channels, first)
        self.joint_embedding = nn.Parameter(
            config.joint_scale * torch.randn(layout.num_joints, first)
        )
        self.blocks = nn.ModuleList(
            Block(config, layout, width_in, width)
            for width_in, width in zip([first, *config.widths], config.widths, strict=False)
        )
        self.norm = nn.LayerNorm(config.widths[-1])

    @staticmethod
    def feature_width(config: ModelConfig) -> int:
        return config.widths[-1]

    @property
    def num_draws(self) -> int:
        """D: one draw for each block, one for each channel of the features."""
        return len(self.blocks) + self.classifier.in_features

    @torch.no_grad()
    def standardise(
        self, mean_vc: Tensor, std: Tensor, context_std_g: Tensor | None = None
    ) -> None:
        super().standardise(mean_vc, std)
        if self.config.context and context_std_g is not None:
            of_standardised_g = context_std_g / (std if std > 0 else torch.ones_like(std))
            self.context_std.copy_(torch.where(of_standardised_g > 0, of_standardised_g, 1))

    def context(self, x_rtvc: Tensor) -> Tensor:
        context_grtvc: Tensor = self.differences(x_rtvc)
        return context_grtvc

    def forward_features(self, x_rtvc: Tensor, draws_rd: Tensor | None) -> Tensor:
        if self.config.context:
            context_grtvc = self.context(x_rtvc) / self.context_std[:, None, None, None, None]
            x_rtvc = torch.cat([x_rtvc, *context_grtvc.unbind()], -1)
        x_rtvc = self.stem(_fold_frames(x_rtvc, self.config.patch)) + self.joint_embedding
        for depth, block in enumerate(self.blocks):
            drop = self.config.drop_path * depth / max(1, len(self.blocks) - 1)
            scale_r111 = None
            if draws_rd is not None and drop:
                scale_r = ((draws_rd[:, depth] >= drop) / (1 - drop)).to(x_rtvc)
                scale_r111 = scale_r[:, None, None, None]
            x_rtvc = block(x_rtvc, scale_r111)
        out: Tensor = self.norm(x_rtvc)
        return out

    def drop_features(self, pooled_nc: Tensor, draws_nd: Tensor | None) -> Tensor:
        dropout = self.config.dropout
        if draws_nd is None or not dropout:
            return pooled_nc
        return pooled_nc * ((draws_nd[:, len(self.blocks) :] >= dropout) / (1 - dropout))


def _re_dmt(config: ModelConfig, layout: Layout, width: int) -> nn.Module:
    """Return a RE-DMT layer of the version that the config names."""
    sizes = (layout, width, config.heads, config.segments)
    reranking = (config.rerank, config.k1, config.k2)
    if config.re_dmt == 1:
        return ReDmtV1(*sizes, config.kept_ratio if config.mask else 1.0, *reranking)
    return ReDmt(*sizes, config.attention, config.mask, *reranking)


def _fold_frames(x_rtvc: Tensor, patch: int) -> Tensor:
    """Join each `patch` frames into one, the last frame repeated where one is incomplete.

    (R, T, V, C) -> (R, ceil(T / patch), V, patch * C).
    """
    if missing := -x_rtvc.shape[1] % patch:
        x_rtvc = torch.cat([x_rtvc, x_rtvc[:, -1:].expand(-1, missing, -1, -1)], 1)
    folded: Tensor = x_rtvc.unflatten(1, (-1, patch)).permute(0, 1, 3, 2, 4).flatten(3)
    return folded


def _halve_frames(x_rtvc: Tensor) -> Tensor:
    """Average each two frames; an odd last one stays: (R, T, V, C) -> (R, ceil(T / 2), V, C)."""
    if x_rtvc.shape[1] % 2:
        x_rtvc = torch.cat([x_rtvc, x_rtvc[:, -1:]], 1)
    halved: Tensor = x_rtvc.unflatten(1, (-1, 2)).mean(2)
    return halved


def _residual(x: Tensor, branch: Tensor, scale: Tensor | None) -> Tensor:
    return x + branch if scale is None else torch.addcmul(x, branch, scale)
