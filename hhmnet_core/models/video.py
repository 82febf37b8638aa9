"""The video network: a backbone of Hugging Face `transformers`, guided by the skeleton.

Backbones give one thing, a grid of features in time and space; what follows is this project's:
a temporal module over the frames of each place, reweighting by the skeleton's heat map (the model
level of HHMNet's fusion), and pooling under each body part (its feature level).

Shapes: N clips, F images, H' x W' the grid, T' its frames, D channels, P parts, K classes,
E embedding.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.errors import InputError
from hhmnet_core.models.backbones import VideoModelConfig, make_backbone
from hhmnet_core.models.temporal import SkTc

# What pretrained backbones were trained on: ImageNet's statistics, RGB in [0, 1].
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class VideoEncoded:
    """What the network makes of a batch.

    Attributes:
        logits_nk: Class logits (N, K).
        parts_npe: A feature of each part (N, P, E), of norm 1; None where no masks were given.
    """

    logits_nk: Tensor
    parts_npe: Tensor | None


def _probe(backbone: nn.Module, config: VideoModelConfig, images: int, size: int) -> Tensor:
    """The grid (1, T', H', W', D) of empty images; InputError where it cannot take them."""
    try:
        with torch.no_grad():
            grid: Tensor = backbone(torch.zeros(1, images, 3, size, size))
    except (RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(
            f"{config.pretrained or config.backbone} cannot take images of {size} x {size}, as the "
            f"store has them ({said}): give a backbone of fewer stages (video.widths and "
            "video.depths), or prepare the store with a larger --video.size."
        ) from error
    return grid


class VideoNetwork(nn.Module):
    """Images and a heat map to classes, and to a feature of each body part.

    Args:
        config: Its size.
        images: F, images of a clip.
        size: Their width and height in pixels.
        num_classes: K.

    Raises InputError where the backbone cannot be had or does not fit the images.
    """

    def __init__(self, config: VideoModelConfig, images: int, size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config, images, size)
        _, frames, rows, columns, width = _probe(self.backbone, config, images, size).shape
        self.grid_shape = (frames, rows, columns)
        # Pooling forgets where; what is pooled has to know. The parts' contrast pools time too.
        self.when_td = nn.Parameter(0.02 * torch.randn(self.grid_shape[0], width))
        self.where_hwd = nn.Parameter(0.02 * torch.randn(*self.grid_shape[1:], width))
        self.temporal = SkTc(width, [(3, 1), (3, 2)], True) if config.temporal == "select" else None
        # Starts halfway between features as they are and features weighted by the heat map.
        self.strength_logit = nn.Parameter(torch.zeros(()))
        self.norm = nn.LayerNorm(width)
        # Frames stay in order up to here: a mean over them would know no before and after.
        self.classifier = nn.Linear(self.grid_shape[0] * width, num_classes)
        self.projector = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.embedding)
        )

    @property
    def num_draws(self) -> int:
        """Uniform draws that a clip needs in training."""
        return self.classifier.in_features

    @property
    def strength(self) -> Tensor:
        """How far features follow the heat map, in (0, 1)."""
        return torch.sigmoid(self.strength_logit)

    def features(self, images_nfchw: Tensor) -> Tensor:
        """The grid (N, T', H', W', D) of images in [0, 1], (N, F, 3, H, W)."""
        if self.config.changes:
            images_nfchw = grey_and_changes(images_nfchw)
        mean, deviation = (
            images_nfchw.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION)
        )
        grid_nthwd: Tensor = self.backbone((images_nfchw - mean) / deviation)
        grid_nthwd = grid_nthwd + self.when_td[:, None, None] + self.where_hwd
        if self.config.temporal == "shift":
            return shift_frames(grid_nthwd)
        if self.temporal is None:
            return grid_nthwd
        grid_ntvd = grid_nthwd.flatten(2, 3)
        tied: Tensor = grid_ntvd + self.temporal(grid_ntvd)
        return tied.view_as(grid_nthwd)

    def forward(
        self,
        images_nfchw: Tensor,
        heat_nthw: Tensor | None = None,
        masks_npthw: Tensor | None = None,
        draws_nd: Tensor | None = None,
    ) -> VideoEncoded:
        """Encodes clips; what is made of a clip depends on that clip alone.

        Args:
            images_nfchw: (N, F, 3, H, W) in [0, 1].
            heat_nthw: (N, T', H', W') of mean 1 in each clip, what features are weighted by; None:
                all alike.
            masks_npthw: (N, P, T', H', W') where each part is; None: no parts are wanted.
            draws_nd: (N, num_draws) uniform draws, in training; None: nothing is dropped.
        """
        grid_nthwd = self.norm(self.features(images_nfchw))
        weighted = grid_nthwd
        if heat_nthw is not None:
            weighted = grid_nthwd * (1 + self.strength * (heat_nthw - 1))[..., None]
        pooled_nd = weighted.mean((2, 3)).flatten(1)
        if draws_nd is not None and self.config.dropout:
            kept = 1 - self.config.dropout
            pooled_nd = pooled_nd * ((draws_nd < kept) / kept)
        parts = None
        if masks_npthw is not None:
            total_np1 = masks_npthw.sum((2, 3, 4))[..., None].clamp_min(1e-6)
            summed = torch.einsum("npthw,nthwd->npd", masks_npthw, grid_nthwd)
            parts = F.normalize(self.projector(summed / total_np1), dim=-1)
        return VideoEncoded(self.classifier(pooled_nd), parts)


class GuidedVideo(nn.Module):
    """The video network, and what makes the skeleton's part features comparable with its own."""

    def __init__(self, network: VideoNetwork, width: int) -> None:
        super().__init__()
        self.network = network
        embedding = network.config.embedding
        self.projector = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, embedding)
        )

    def forward(
        self,
        images_nfchw: Tensor,
        heat_nthw: Tensor | None,
        masks_npthw: Tensor | None = None,
        draws_nd: Tensor | None = None,
    ) -> VideoEncoded:
        encoded: VideoEncoded = self.network(images_nfchw, heat_nthw, masks_npthw, draws_nd)
        return encoded

    def known(self, tokens_npc: Tensor) -> Tensor:
        """The skeleton's part features (N, P, C) among the video's: (N, P, E) of norm 1."""
        return F.normalize(self.projector(tokens_npc), dim=-1)


def grey_and_changes(images_nfchw: Tensor) -> Tensor:
    """The grey image, its change from the one before, its change to the next: (N, F, 3, H, W).

    Changes are laid around 0.5, so that all three are in [0, 1]; at the ends they are none.
    """
    grey_nfhw = images_nfchw.mean(2)
    change_nfhw = (grey_nfhw[:, 1:] - grey_nfhw[:, :-1] + 1) / 2
    none = torch.full_like(grey_nfhw[:, :1], 0.5)
    before, behind = torch.cat([none, change_nfhw], 1), torch.cat([change_nfhw, none], 1)
    return torch.stack([grey_nfhw, before, behind], 2)


def shift_frames(grid_nthwd: Tensor) -> Tensor:
    """An eighth of the channels comes from the frame before, an eighth from the one behind."""
    eighth = grid_nthwd.shape[-1] // 8
    before, behind, rest = grid_nthwd.split(
        [eighth, eighth, grid_nthwd.shape[-1] - 2 * eighth], dim=-1
    )
    before = torch.cat([torch.zeros_like(before[:, :1]), before[:, :-1]], 1)
    behind = torch.cat([behind[:, 1:], torch.zeros_like(behind[:, :1])], 1)
    return torch.cat([before, behind, rest], -1)
