"""The video network: a backbone of Hugging Face `transformers`, guided by the skeleton.

The backbone gives a grid of features in time and space. The rest is this project's own design: a
temporal module over the frames of each cell, weights from the skeleton's heat map (the model level
of the fusion in HHMNet, Zhang et al., ACM MM 2023), and pooling under each body part (its feature
level).

Shapes: N clips, F images of H x W pixels, T' frames of the grid with H' x W' cells, D channels, P
body parts, K classes, E embedding.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject
from hhmnet_core.models.backbones import VideoModelConfig, make_backbone
from hhmnet_core.models.temporal import SkTc
from hhmnet_core.passwords import one_line

# Statistics of ImageNet, RGB in [0, 1]: pretrained backbones expect images standardised by them.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class VideoEncoded:
    """The outputs of the video network for a batch.

    Attributes:
        logits_nk: (N, K) class logits.
        parts_npe: (N, P, E) feature of each body part, of norm 1; None without masks.
    """

    logits_nk: Tensor
    parts_npe: Tensor | None


def _grid_shape(
    backbone: nn.Module, config: VideoModelConfig, images: int, size: int
) -> tuple[int, ...]:
    """Return (T', H', W', D) of the backbone's features; InputError if the images do not fit it."""
    try:
        with torch.no_grad():
            return tuple(backbone(torch.zeros(1, images, 3, size, size)).shape[1:])
    except (RuntimeError, ValueError) as error:
        reason = one_line(error)[:200]
        raise InputError(
            f"{config.pretrained or config.backbone} cannot take the store's images of {size} x "
            f"{size} ({reason}): give a backbone of fewer stages (video.widths and video.depths), "
            "or prepare the store with a larger --video.size."
        ) from error


class VideoNetwork(nn.Module):
    """The video network: images and a heat map to class logits and a feature of each body part.

    Args:
        config: Kind and size of the network.
        images: F, the number of images of a clip.
        size: H = W, in pixels.
        num_classes: K.
        settings: Size of a pretrained backbone whose trained weights follow, see `make_backbone`.

    Attributes:
        grid_shape: (T', H', W') of the features.

    Raises InputError if the backbone cannot be loaded or the images do not fit it.
    """

    pixel_mean_c11: Tensor
    pixel_std_c11: Tensor

    def __init__(
        self,
        config: VideoModelConfig,
        images: int,
        size: int,
        num_classes: int,
        settings: JsonObject | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        for name, values in (("pixel_mean_c11", IMAGENET_MEAN), ("pixel_std_c11", IMAGENET_STD)):
            constant = torch.tensor(values, dtype=torch.float64)[:, None, None]
            self.register_buffer(name, constant, persistent=False)
        self.backbone = make_backbone(config, images, size, settings)
        frames, rows, columns, width = _grid_shape(self.backbone, config, images, size)
        self.grid_shape = (frames, rows, columns)
        # Pooling loses positions, and that of body parts loses time too: features carry them.
        self.when_td = nn.Parameter(0.02 * torch.randn(self.grid_shape[0], width))
        self.where_hwd = nn.Parameter(0.02 * torch.randn(*self.grid_shape[1:], width))
        self.temporal = SkTc(width, [(3, 1), (3, 2)], True) if config.temporal == "select" else None
        # Starts halfway between unweighted features and those weighted by the heat map.
        self.strength_logit = nn.Parameter(torch.zeros(()))
        self.norm = nn.LayerNorm(width)
        # All frames side by side: a mean over them would lose their order.
        self.classifier = nn.Linear(self.grid_shape[0] * width, num_classes)
        self.projector = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, config.embedding)
        )

    @property
    def num_draws(self) -> int:
        """Number of uniform draws that each clip needs in training."""
        return self.classifier.in_features

    @property
    def strength(self) -> Tensor:
        """Strength of the heat map, in (0, 1): 0 leaves the features unweighted."""
        return torch.sigmoid(self.strength_logit)

    def features(self, images_nfchw: Tensor) -> Tensor:
        """Return the features (N, T', H', W', D) of images (N, F, 3, H, W) in [0, 1]."""
        if self.config.changes:
            images_nfchw = grey_and_changes(images_nfchw)
        mean, std = self.pixel_mean_c11.to(images_nfchw), self.pixel_std_c11.to(images_nfchw)
        grid_nthwd: Tensor = self.backbone((images_nfchw - mean) / std)
        grid_nthwd = grid_nthwd + self.when_td[:, None, None] + self.where_hwd
        if self.config.temporal == "shift":
            return shift_frames(grid_nthwd)
        if self.temporal is None:
            return grid_nthwd
        grid_ntvd = grid_nthwd.flatten(2, 3)
        mixed: Tensor = grid_ntvd + self.temporal(grid_ntvd)
        return mixed.view_as(grid_nthwd)

    def forward(
        self,
        images_nfchw: Tensor,
        heat_nthw: Tensor | None = None,
        masks_npthw: Tensor | None = None,
        draws_nd: Tensor | None = None,
    ) -> VideoEncoded:
        """Encode clips; the outputs of a clip depend on that clip alone.

        Args:
            images_nfchw: (N, F, 3, H, W) images in [0, 1].
            heat_nthw: (N, T', H', W') weights of the features, of mean 1 in each clip. Default: all
                features have the same weight.
            masks_npthw: (N, P, T', H', W') masks of the body parts. Default: no part features.
            draws_nd: (N, num_draws) uniform draws in training. Default: no dropout.
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
    """The video network with a projector of the skeleton's part features to those of the video.

    Args:
        network: The video network.
        width: C, channels of the skeleton's part features.
    """

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
        """Encode clips with the video network; the arguments are those of its `forward`."""
        encoded: VideoEncoded = self.network(images_nfchw, heat_nthw, masks_npthw, draws_nd)
        return encoded

    def project_parts(self, parts_npc: Tensor) -> Tensor:
        """Project the skeleton's part features: (N, P, C) -> (N, P, E) of norm 1."""
        return F.normalize(self.projector(parts_npc), dim=-1)


def grey_and_changes(images_nfchw: Tensor) -> Tensor:
    """Replace colours by the grey image, its change from the previous image and to the next one.

    (N, F, 3, H, W) -> (N, F, 3, H, W). Changes are halved and centred at 0.5, so that all channels
    are in [0, 1]; no change, 0.5, precedes the first image and follows the last.
    """
    grey_nfhw = images_nfchw.mean(2)
    change_nfhw = (grey_nfhw[:, 1:] - grey_nfhw[:, :-1] + 1) / 2
    unchanged = torch.full_like(grey_nfhw[:, :1], 0.5)
    from_previous = torch.cat([unchanged, change_nfhw], 1)
    to_next = torch.cat([change_nfhw, unchanged], 1)
    return torch.stack([grey_nfhw, from_previous, to_next], 2)


def shift_frames(grid_nthwd: Tensor) -> Tensor:
    """Shift an eighth of the channels to the next frame, and an eighth to the previous frame.

    The temporal shift module of Lin et al., "TSM: Temporal Shift Module for Efficient Video
    Understanding", ICCV 2019, with zeros at the ends.
    """
    eighth = grid_nthwd.shape[-1] // 8
    forward, backward, rest = grid_nthwd.split(
        [eighth, eighth, grid_nthwd.shape[-1] - 2 * eighth], dim=-1
    )
    forward = torch.cat([torch.zeros_like(forward[:, :1]), forward[:, :-1]], 1)
    backward = torch.cat([backward[:, 1:], torch.zeros_like(backward[:, :1])], 1)
    return torch.cat([forward, backward, rest], -1)
