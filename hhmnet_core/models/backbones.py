"""Backbones of the video network from Hugging Face `transformers`: images to a grid of features.

- ConvNeXt: Liu et al., "A ConvNet for the 2020s", CVPR 2022.
- ResNet: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
- VideoMAE: Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for
  Self-Supervised Video Pre-Training", NeurIPS 2022.

The features of a clip do not depend on the other clips of a batch: the batch normalisation of
ResNet is replaced by group normalisation (new weights) or by its own frozen statistics (pretrained
weights).

Shapes: N clips, F images of H x W pixels, C channels, T' frames of the grid with H' x W' cells, D
channels of the grid.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.checks.bounds import check_bounds
from hhmnet_core.errors import InputError
from hhmnet_core.identity import JsonObject
from hhmnet_core.models.config import MAX_WIDTH
from hhmnet_core.passwords import one_line

MAX_STAGES = 16
VIDEOMAE_PATCH, VIDEOMAE_TUBELET, VIDEOMAE_HEAD = 16, 2, 32


@dataclass
class VideoModelConfig:
    """Kind and size of the video network.

    Attributes:
        backbone: Backbone: "convnext" and "resnet" see each image alone, "videomae" sees tokens in
            space and time.
        pretrained: Pretrained weights: a name on the Hugging Face hub, or a folder. Default: new
            weights, of the size that `widths` and `depths` give.
        widths: Channels of each stage; each stage halves the resolution. For "videomae", the last
            value is the width.
        depths: Number of blocks of each stage. For "videomae", their sum is the depth.
        temporal: Module between the frames of the features: "select" (SK-TC), "shift" (TSM, Lin et
            al., ICCV 2019) or "none".
        changes: Whether the backbone sees the grey image, its change from the previous image and
            its change to the next one instead of three colours. Meant for depth images and for
            little data.
        dropout: Dropout probability before the classifier.
        embedding: Size of the embeddings that the contrast between body parts compares.
    """

    backbone: Literal["convnext", "resnet", "videomae"] = "resnet"
    pretrained: str = ""
    widths: list[int] = field(default_factory=lambda: [32, 64])
    depths: list[int] = field(default_factory=lambda: [1, 1])
    temporal: Literal["select", "shift", "none"] = "select"
    changes: bool = False
    dropout: float = 0.2
    embedding: int = 64

    def __post_init__(self) -> None:
        if not self.widths or len(self.widths) != len(self.depths):
            raise InputError(
                f"video.widths and video.depths must be of the same length, at least 1, but are "
                f"{self.widths} and {self.depths}."
            )
        check_bounds(
            self, "video.", widths=(1, MAX_WIDTH), depths=(1, 256), embedding=(1, MAX_WIDTH)
        )
        if len(self.widths) > MAX_STAGES:
            raise InputError(
                f"video.widths has {len(self.widths)} stages, expected at most {MAX_STAGES}."
            )
        if self.backbone == "videomae" and self.widths[-1] % VIDEOMAE_HEAD:
            raise InputError(
                f"The last of video.widths must be a multiple of {VIDEOMAE_HEAD} for videomae, but "
                f"is {self.widths[-1]}."
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"video.dropout must be in [0, 1), but is {self.dropout}.")


class ImageBackbone(nn.Module):
    """A backbone that sees each image alone: (N, F, 3, H, W) -> (N, F, H', W', D)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images_nfchw: Tensor) -> Tensor:
        clips = images_nfchw.shape[0]
        maps = self.model(images_nfchw.flatten(0, 1)).last_hidden_state
        grid: Tensor = maps.permute(0, 2, 3, 1).unflatten(0, (clips, -1))
        return grid


class TokenBackbone(nn.Module):
    """VideoMAE: (N, F, 3, H, W) -> (N, F / 2, H / 16, W / 16, D)."""

    def __init__(self, model: nn.Module, grid: tuple[int, int, int]) -> None:
        super().__init__()
        self.model, self.grid = model, grid

    def forward(self, images_nfchw: Tensor) -> Tensor:
        tokens = self.model(images_nfchw).last_hidden_state
        grid: Tensor = tokens.unflatten(1, self.grid)
        return grid


def pretrained_settings(config: VideoModelConfig) -> JsonObject | None:
    """Return the size of a pretrained backbone, as `transformers` records it. None for new weights.

    Raises InputError if it cannot be read.
    """
    if not config.pretrained:
        return None
    settings: JsonObject = json.loads(_read_settings(config).to_json_string(use_diff=False))
    return settings


def make_backbone(
    config: VideoModelConfig, images: int, size: int, settings: JsonObject | None = None
) -> nn.Module:
    """Make a backbone: images (N, F, 3, H, W) to features (N, T', H', W', D).

    Args:
        config: Kind and size, or the pretrained weights.
        images: F.
        size: H = W, in pixels.
        settings: Size of a pretrained backbone whose trained weights follow, as
            `pretrained_settings` returned it. None: the pretrained weights are loaded.

    Raises InputError if the pretrained weights cannot be loaded, are of another backbone or do not
    fit the images.
    """
    if config.backbone == "videomae":
        return _make_videomae(config, images, size, settings)
    make = _make_resnet if config.backbone == "resnet" else _make_convnext
    return make(config, settings)


def _make_videomae(
    config: VideoModelConfig, images: int, size: int, recorded: JsonObject | None
) -> TokenBackbone:
    from transformers import VideoMAEConfig, VideoMAEModel

    if size % VIDEOMAE_PATCH or images % VIDEOMAE_TUBELET:
        raise InputError(
            f"videomae needs images whose size is a multiple of {VIDEOMAE_PATCH}, and an even "
            f"number of them, but the store has {images} of {size} x {size}: prepare it with other "
            "--video.size and --video.frames."
        )
    if config.pretrained:
        model, settings = _pretrained(VideoMAEModel, config, recorded)
    else:
        width = config.widths[-1]
        settings = VideoMAEConfig(
            image_size=size,
            num_frames=images,
            hidden_size=width,
            num_hidden_layers=sum(config.depths),
            num_attention_heads=width // VIDEOMAE_HEAD,
            intermediate_size=4 * width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        model = VideoMAEModel(settings)
    if (settings.num_frames, settings.image_size) != (images, size):
        raise InputError(
            f"{config.pretrained} takes {settings.num_frames} images of {settings.image_size} x "
            f"{settings.image_size}, but the store has {images} of {size} x {size}: prepare it "
            f"with --video.frames {settings.num_frames} --video.size {settings.image_size}."
        )
    cells = size // VIDEOMAE_PATCH
    return TokenBackbone(model, (images // VIDEOMAE_TUBELET, cells, cells))


def _make_resnet(config: VideoModelConfig, recorded: JsonObject | None) -> ImageBackbone:
    from transformers import ResNetConfig, ResNetModel

    if config.pretrained:
        return ImageBackbone(freeze_batch_norm(_pretrained(ResNetModel, config, recorded)[0]))
    settings = ResNetConfig(
        embedding_size=config.widths[0],
        hidden_sizes=config.widths,
        depths=config.depths,
        layer_type="basic",
    )
    return ImageBackbone(group_norm(ResNetModel(settings)))


def _make_convnext(config: VideoModelConfig, recorded: JsonObject | None) -> ImageBackbone:
    from transformers import ConvNextConfig, ConvNextModel

    if config.pretrained:
        return ImageBackbone(_pretrained(ConvNextModel, config, recorded)[0])
    settings = ConvNextConfig(
        num_stages=len(config.widths),
        hidden_sizes=config.widths,
        depths=config.depths,
        # The default of 1e-6 is for very deep networks; with it, a few hundred steps train nothing.
        layer_scale_init_value=1.0,
    )
    return ImageBackbone(ConvNextModel(settings))


def _pretrained(
    model_type: Any, config: VideoModelConfig, recorded: JsonObject | None
) -> tuple[nn.Module, Any]:
    """Return a model of `transformers` and its config: recorded, with new weights, or loaded."""
    if recorded is None:
        return _load_pretrained(model_type, config)
    try:
        settings = model_type.config_class.from_dict(recorded)
        return model_type(settings), settings
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"The backbone of {config.pretrained} cannot be built from its recorded settings "
            f"({one_line(error)[:200]}): use the version of transformers that it was trained with."
        ) from error


def _read_settings(config: VideoModelConfig) -> Any:
    from transformers import AutoConfig

    name = config.pretrained
    with _readable(name):
        settings = AutoConfig.from_pretrained(name)
    if settings.model_type != config.backbone:
        raise InputError(
            f"{name} is a {settings.model_type}, but video.backbone is {config.backbone}: change "
            "one of video.pretrained and video.backbone."
        )
    return settings


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Raise InputError where a pretrained backbone cannot be read."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = one_line(error)[:200]
        raise InputError(
            f"The backbone {name} cannot be loaded ({reason}). If {name} cannot be downloaded, put "
            "its config.json and model.safetensors into a folder, and give the folder as "
            "video.pretrained."
        ) from error


def _load_pretrained(model_type: Any, config: VideoModelConfig) -> tuple[nn.Module, Any]:
    """Load a model of `transformers` with its weights and its own config."""
    name = config.pretrained
    _read_settings(config)
    with _readable(name):
        model, report = model_type.from_pretrained(
            name, output_loading_info=True, use_safetensors=True, ignore_mismatched_sizes=True
        )
    unfit = [*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])]
    if unfit:
        raise InputError(
            f"The weights of {name} do not fit a {config.backbone} ({len(unfit)} are missing or of "
            f"another shape, such as {unfit[0]}): give another video.backbone or video.pretrained."
        )
    return model, model.config


def group_norm(model: nn.Module) -> nn.Module:
    """Replace batch normalisation by group normalisation in place (Wu and He, ECCV 2018)."""
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            channels = child.num_features
            groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
            setattr(model, name, nn.GroupNorm(groups, channels))
        else:
            group_norm(child)
    return model


class FrozenBatchNorm(nn.Module):
    """Batch normalisation with fixed statistics, those of `source`."""

    mean: Tensor
    variance: Tensor

    def __init__(self, source: nn.BatchNorm2d) -> None:
        super().__init__()
        assert source.running_mean is not None and source.running_var is not None
        self.weight, self.bias, self.eps = source.weight, source.bias, source.eps
        self.register_buffer("mean", source.running_mean)
        self.register_buffer("variance", source.running_var)

    def forward(self, x_nchw: Tensor) -> Tensor:
        return F.batch_norm(
            x_nchw, self.mean, self.variance, self.weight, self.bias, False, 0.0, self.eps
        )


def freeze_batch_norm(model: nn.Module) -> nn.Module:
    """Replace batch normalisation by `FrozenBatchNorm` in place."""
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(model, name, FrozenBatchNorm(child))
        else:
            freeze_batch_norm(child)
    return model
