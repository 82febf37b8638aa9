"""ST&ST: the skeletal encoder of HHMNet, blocks of RE-DMT over joints and SK-TC over frames.

Differs from usual skeleton networks in what lets it run anywhere with equal results: it
normalises within a frame and joint (LayerNorm), never across clips, and its only randomness is
handed in. Shapes: N clips, R clip bodies that are present, T frames, V joints, C channels.
"""

from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn

from hhmnet_core.errors import InputError
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.spatial import ReDmt
from hhmnet_core.models.temporal import SkTc
from hhmnet_core.skeleton.layouts import Layout


@dataclass
class StstConfig:
    """Size and switches of an ST&ST encoder.

    Attributes:
        widths: Channels of each block; where they grow, the temporal stride is 2.
        heads: Attention heads, a divisor of every width.
        patch: Frames that the stem folds into one.
        segments: Temporal segments that attention scores are taken from.
        mask: Whether RE-DMT masks weak keys.
        kept_ratio: Share of the keys that the mask keeps, in (0, 1].
        rerank: Whether RE-DMT re-ranks its scores.
        k1: Reciprocal neighbourhood of the re-ranking, in joints.
        k2: Neighbours averaged by the re-ranking's local expansion.
        branches: (kernel, dilation) of SK-TC's branches; one alone is a plain convolution.
        select: Whether SK-TC selects its branches; else they are averaged.
        drop_path: Stochastic depth of the last block; linear from 0 at the first.
        dropout: Dropout before the classifier.
        embedding: E, size of the embedding that the contrastive loss compares.
    """

    widths: list[int] = field(default_factory=lambda: [64, 64, 128, 128, 192])
    heads: int = 4
    patch: int = 4
    segments: int = 4
    mask: bool = True
    kept_ratio: float = 0.5
    rerank: bool = True
    k1: int = 6
    k2: int = 3
    branches: list[tuple[int, int]] = field(default_factory=lambda: [(3, 1), (5, 1)])
    select: bool = True
    drop_path: float = 0.1
    dropout: float = 0.1
    embedding: int = 128

    def __post_init__(self) -> None:
        for name in ("heads", "patch", "segments", "k1", "k2", "embedding"):
            if getattr(self, name) < 1:
                raise InputError(f"model.{name} must be at least 1, but is {getattr(self, name)}.")
        if not self.widths or any(width < 1 or width % (2 * self.heads) for width in self.widths):
            raise InputError(
                f"model.widths must be multiples of twice model.heads ({self.heads}), "
                f"but are {self.widths}."
            )
        if not 0 < self.kept_ratio <= 1:
            raise InputError(f"model.kept_ratio must be in (0, 1], but is {self.kept_ratio}.")
        for name in ("drop_path", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"model.{name} must be in [0, 1), but is {getattr(self, name)}.")
        if not self.branches or any(
            kernel < 1 or kernel % 2 == 0 or dilation < 1 for kernel, dilation in self.branches
        ):
            raise InputError(
                "model.branches needs odd kernels and dilations of at least 1, "
                f"but is {self.branches}."
            )


class Block(nn.Module):
    """RE-DMT, then SK-TC, both residual: (R, T, V, C_in) -> (R, T / stride, V, C_out)."""

    def __init__(self, config: StstConfig, layout: Layout, width_in: int, width: int) -> None:
        super().__init__()
        self.stride = 2 if width > width_in else 1
        self.widen = nn.Linear(width_in, width) if width != width_in else nn.Identity()
        self.spatial = ReDmt(
            layout,
            width,
            config.heads,
            config.segments,
            config.kept_ratio if config.mask else 1.0,
            config.rerank,
            config.k1,
            config.k2,
        )
        self.temporal = SkTc(width, config.branches, config.select)

    def forward(self, x_rtvc: Tensor, scale_r111: Tensor | None) -> Tensor:
        if self.stride == 2:
            x_rtvc = _halve_frames(x_rtvc)
        x_rtvc = self.widen(x_rtvc)
        x_rtvc = _residual(x_rtvc, self.spatial(x_rtvc), scale_r111)
        return _residual(x_rtvc, self.temporal(x_rtvc), scale_r111)


class Stst(Encoder):
    """An ST&ST encoder; its arguments beside the config are an `Encoder`'s."""

    batch_independent = True
    settings = frozenset(setting.name for setting in fields(StstConfig))

    def __init__(
        self,
        config: StstConfig,
        layout: Layout,
        num_classes: int,
        temperature: float = 0.1,
        learn_temperature: bool = False,
    ) -> None:
        first, last = config.widths[0], config.widths[-1]
        super().__init__(
            layout, num_classes, last, config.embedding, temperature, learn_temperature
        )
        self.config = config
        self.stem = nn.Linear(config.patch * layout.channels, first)
        self.joint_embedding = nn.Parameter(0.02 * torch.randn(layout.num_joints, first))
        self.blocks = nn.ModuleList(
            Block(config, layout, width_in, width)
            for width_in, width in zip([first, *config.widths], config.widths, strict=False)
        )
        self.norm = nn.LayerNorm(last)

    @property
    def num_draws(self) -> int:
        """One a block, one a final channel."""
        return len(self.blocks) + self.classifier.in_features

    def forward_features(self, x_rtvc: Tensor, draws_rd: Tensor | None) -> Tensor:
        """Features (R, T', V, C) of bodies (R, T, V, C_in); T is padded to whole patches."""
        patch = self.config.patch
        if x_rtvc.shape[1] % patch:
            x_rtvc = torch.cat(
                [x_rtvc, x_rtvc[:, -1:].expand(-1, -x_rtvc.shape[1] % patch, -1, -1)], 1
            )
        folded = x_rtvc.unflatten(1, (-1, patch)).permute(0, 1, 3, 2, 4).flatten(3)
        x_rtvc = self.stem(folded) + self.joint_embedding
        for depth, block in enumerate(self.blocks):
            drop = self.config.drop_path * depth / max(1, len(self.blocks) - 1)
            scale = None
            if draws_rd is not None and drop:
                scale = ((draws_rd[:, depth] >= drop) / (1 - drop)).to(x_rtvc)[:, None, None, None]
            x_rtvc = block(x_rtvc, scale)
        out: Tensor = self.norm(x_rtvc)
        return out

    def drop_features(self, pooled_nc: Tensor, draws_nd: Tensor | None) -> Tensor:
        dropout = self.config.dropout
        if draws_nd is None or not dropout:
            return pooled_nc
        return pooled_nc * ((draws_nd[:, len(self.blocks) :] >= dropout) / (1 - dropout))


def _halve_frames(x_rtvc: Tensor) -> Tensor:
    """Means of two frames each, (R, T, V, C) -> (R, ceil(T / 2), V, C); an odd last one stays."""
    if x_rtvc.shape[1] % 2:
        x_rtvc = torch.cat([x_rtvc, x_rtvc[:, -1:]], 1)
    halved: Tensor = x_rtvc.unflatten(1, (-1, 2)).mean(2)
    return halved


def _residual(x: Tensor, branch: Tensor, scale: Tensor | None) -> Tensor:
    return x + branch if scale is None else torch.addcmul(x, branch, scale)
