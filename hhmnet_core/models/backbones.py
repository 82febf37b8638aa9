"""Backbones of the video network, of Hugging Face `transformers`: images to a grid of features.

None of them looks across clips: ResNet's batch normalisation is replaced, by group normalisation
where weights are new, by its own frozen statistics where they are pretrained.

Shapes: N clips, F images, H' x W' the grid, D channels.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from hhmnet_core.errors import InputError

VIDEOMAE_PATCH, VIDEOMAE_TUBELET, VIDEOMAE_HEAD = 16, 2, 32


@dataclass
class VideoModelConfig:
    """The video network.

    Attributes:
        backbone: "convnext" or "resnet", image by image, or "videomae", tokens in space and time.
        pretrained: Name at the Hugging Face hub, or a folder, of weights to start from; empty: new
            ones, of the size that `widths` and `depths` give.
        widths: Channels of each stage, each at half the resolution of the one before; of VideoMAE
            the last one is its width.
        depths: Blocks of each stage; of VideoMAE their sum is its depth.
        temporal: What ties the frames of the grid, of any backbone: "select" (SK-TC), "shift" (TSM:
            Lin et al., ICCV 2019), or "none".
        changes: Whether, in the place of three colours, the backbone sees the grey image, its
            change from the image before and its change to the next; for depth, and little data.
        dropout: Dropout before the classifier.
        embedding: E, size of the embeddings that the parts' contrast compares.
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
                f"video.widths and video.depths must be as long as each other, but are "
                f"{self.widths} and {self.depths}."
            )
        if min(*self.widths, *self.depths, self.embedding) < 1:
            raise InputError("video.widths, video.depths and video.embedding must be at least 1.")
        if self.backbone == "videomae" and self.widths[-1] % VIDEOMAE_HEAD:
            raise InputError(
                f"The last of video.widths must be a multiple of {VIDEOMAE_HEAD} for videomae, but "
                f"is {self.widths[-1]}."
            )
        if not 0 <= self.dropout < 1:
            raise InputError(f"video.dropout must be in [0, 1), but is {self.dropout}.")


class ImageBackbone(nn.Module):
    """A backbone that sees image by image: (N, F, 3, H, W) -> (N, F, H', W', D)."""

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


def make_backbone(config: VideoModelConfig, images: int, size: int) -> nn.Module:
    """A backbone, new or pretrained.

    Raises InputError: `transformers` is not installed, no such weights, weights of another kind of
    backbone, or images that do not fit it.
    """
    try:
        import transformers
    except ImportError as error:
        raise InputError(
            "The video network needs the package transformers: pip install 'hhmnet-ray[video]'."
        ) from error
    if config.backbone == "videomae":
        step = VIDEOMAE_PATCH
        if size % step or images % VIDEOMAE_TUBELET:
            raise InputError(
                f"videomae needs images whose size is a multiple of {step}, and an even number of "
                f"them, but the store has {images} of {size} x {size}: prepare it with other "
                "--video.size and --video.frames."
            )
        width = config.widths[-1]
        given = transformers.VideoMAEConfig(
            image_size=size,
            num_frames=images,
            hidden_size=width,
            num_hidden_layers=sum(config.depths),
            num_attention_heads=width // VIDEOMAE_HEAD,
            intermediate_size=4 * width,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        if not config.pretrained:
            model: nn.Module = transformers.VideoMAEModel(given)
        else:
            model, given = _pretrained(transformers.VideoMAEModel, config)
        if (given.num_frames, given.image_size) != (images, size):
            raise InputError(
                f"{config.pretrained} takes {given.num_frames} images of {given.image_size} x "
                f"{given.image_size}, but the store has {images} of {size} x {size}: prepare it "
                f"with --video.frames {given.num_frames} --video.size {given.image_size}."
            )
        return TokenBackbone(model, (images // VIDEOMAE_TUBELET, size // step, size // step))
    if config.backbone == "resnet":
        if config.pretrained:
            return ImageBackbone(
                freeze_batch_norm(_pretrained(transformers.ResNetModel, config)[0])
            )
        model = transformers.ResNetModel(
            transformers.ResNetConfig(
                embedding_size=config.widths[0],
                hidden_sizes=config.widths,
                depths=config.depths,
                layer_type="basic",
            )
        )
        return ImageBackbone(group_norm(model))
    if config.pretrained:
        return ImageBackbone(_pretrained(transformers.ConvNextModel, config)[0])
    return ImageBackbone(
        transformers.ConvNextModel(
            transformers.ConvNextConfig(
                num_stages=len(config.widths),
                hidden_sizes=config.widths,
                depths=config.depths,
                # Made for very deep networks; at its 1e-6 a few hundred steps train nothing.
                layer_scale_init_value=1.0,
            )
        )
    )


def _pretrained(kind: Any, config: VideoModelConfig) -> tuple[nn.Module, Any]:
    """A model with its weights, and its own config."""
    from transformers import AutoConfig

    name = config.pretrained
    where = (
        f"Put config.json and model.safetensors of it into a folder, and give the folder as "
        f"video.pretrained, where {name} cannot be downloaded."
    )
    try:
        given = AutoConfig.from_pretrained(name)
        if given.model_type != config.backbone:
            raise InputError(
                f"{name} is a {given.model_type}, but video.backbone is {config.backbone}: give "
                "the one that belongs to the other."
            )
        model, report = kind.from_pretrained(
            name, output_loading_info=True, use_safetensors=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"The backbone {name} cannot be loaded ({said}). {where}") from error
    wrong = [*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])]
    if wrong:
        raise InputError(
            f"The weights of {name} do not fit a {config.backbone} ({len(wrong)} are missing or of "
            f"another shape, such as {wrong[0]}): give another video.backbone or video.pretrained."
        )
    return model, model.config


def group_norm(model: nn.Module) -> nn.Module:
    """Its batch normalisations replaced by group normalisation, which sees one clip alone."""
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            channels = child.num_features
            groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
            setattr(model, name, nn.GroupNorm(groups, channels))
        else:
            group_norm(child)
    return model


class FrozenBatchNorm(nn.Module):
    """A batch normalisation by the statistics that it came with, which never change."""

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
    """Its batch normalisations replaced by frozen ones: clips never see each other."""
    for name, child in model.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(model, name, FrozenBatchNorm(child))
        else:
            freeze_batch_norm(child)
    return model
