"""Backbones: one shape of features, clips on their own, pretrained weights, clear errors."""

from pathlib import Path

import huggingface_hub
import pytest
import torch
from torch import nn
from transformers import (
    ConvNextConfig,
    ConvNextModel,
    ResNetConfig,
    ResNetModel,
    VideoMAEConfig,
    VideoMAEModel,
)

from hhmnet_core.errors import InputError
from hhmnet_core.models.backbones import (
    FrozenBatchNorm,
    VideoModelConfig,
    freeze_batch_norm,
    group_norm,
    make_backbone,
)

GRIDS = {"convnext": (4, 8, 8), "resnet": (4, 8, 8), "videomae": (2, 4, 4)}


def build(backbone: str) -> nn.Module:
    return make_backbone(VideoModelConfig(backbone=backbone, widths=[8, 32], depths=[1, 1]), 4, 64)


@pytest.mark.parametrize("backbone", GRIDS)
def test_every_backbone_gives_one_shape_and_sees_each_clip_alone(backbone: str) -> None:
    model = build(backbone).train()
    images = torch.rand(3, 4, 3, 64, 64)
    features = model(images)
    assert features.shape == (3, *GRIDS[backbone], 32)
    torch.testing.assert_close(features[1:2], model(images[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("backbone", ["convnext", "resnet"])
def test_backbones_of_images_see_each_image_alone(backbone: str) -> None:
    model, images = build(backbone), torch.rand(1, 4, 3, 64, 64)
    torch.testing.assert_close(model(images)[:, 2:3], model(images[:, 2:3]), atol=1e-5, rtol=1e-4)


def test_tokens_are_laid_out_in_time_rows_and_columns() -> None:
    model, images = build("videomae").eval(), torch.rand(1, 4, 3, 64, 64)
    tokens = model.model(images).last_hidden_state[0]
    assert torch.equal(model(images)[0, 1, 2, 3], tokens[(1 * 4 + 2) * 4 + 3])


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[ResNetModel, Path]:
    """A ResNet with statistics that are not the initial ones, and its folder."""
    torch.manual_seed(3)
    source = ResNetModel(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    )
    for module in source.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    folder = tmp_path_factory.mktemp("resnet")
    source.save_pretrained(folder)
    return source.eval(), folder


def test_pretrained_weights_are_loaded_and_their_statistics_stay_fixed(
    resnet: tuple[ResNetModel, Path],
) -> None:
    source, folder = resnet
    model = make_backbone(VideoModelConfig("resnet", pretrained=str(folder)), 2, 32).train()
    images = torch.rand(1, 2, 3, 32, 32)
    expected = source(images[0]).last_hidden_state.permute(0, 2, 3, 1)
    torch.testing.assert_close(model(images)[0], expected, atol=1e-5, rtol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_group_norm_takes_as_many_groups_as_divide_the_channels() -> None:
    model = group_norm(nn.Sequential(nn.BatchNorm2d(24), nn.Sequential(nn.BatchNorm2d(6))))
    assert model[0].num_groups == 8 and model[1][0].num_groups == 2


def test_frozen_batch_norm_is_batch_norm_in_evaluation() -> None:
    source = nn.BatchNorm2d(5)
    for tensor in (source.running_mean, source.running_var, source.weight, source.bias):
        nn.init.uniform_(tensor, 0.5, 2)
    expected = source.eval()(x := torch.randn(2, 5, 3, 3))
    frozen = freeze_batch_norm(nn.Sequential(source)).train()
    assert isinstance(frozen[0], FrozenBatchNorm)
    torch.testing.assert_close(frozen(x), expected)


def test_weights_that_cannot_be_loaded_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in (str(tmp_path / "nowhere"), "nobody/has-such-a-network"):
        with pytest.raises(InputError, match=r"cannot be loaded .*config\.json and model\.safe"):
            make_backbone(VideoModelConfig("convnext", pretrained=name), 4, 32)


def test_weights_of_another_backbone_are_refused(resnet: tuple[ResNetModel, Path]) -> None:
    with pytest.raises(InputError, match=r"is a resnet, but video\.backbone is convnext"):
        make_backbone(VideoModelConfig("convnext", pretrained=str(resnet[1])), 4, 32)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    shape = ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1])
    ConvNextModel(shape).save_pretrained(tmp_path)
    shape.hidden_sizes = [8, 24]
    shape.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="do not fit a convnext"):
        make_backbone(VideoModelConfig("convnext", pretrained=str(tmp_path)), 4, 32)


def test_pretrained_videomae_names_the_images_that_it_takes(tmp_path: Path) -> None:
    shape = VideoMAEConfig(
        image_size=32, num_frames=4, hidden_size=32, num_hidden_layers=1, num_attention_heads=1,
        intermediate_size=32,
    )  # fmt: skip
    VideoMAEModel(shape).save_pretrained(tmp_path)
    config = VideoModelConfig("videomae", pretrained=str(tmp_path), widths=[32], depths=[1])
    assert make_backbone(config, 4, 32)(torch.rand(1, 4, 3, 32, 32)).shape == (1, 2, 2, 2, 32)
    with pytest.raises(InputError, match=r"takes 4 images of 32 x 32, but the store has 8 of 64"):
        make_backbone(config, 8, 64)


@pytest.mark.parametrize(("images", "size"), [(3, 64), (4, 60)])
def test_videomae_names_the_images_that_do_not_fit(images: int, size: int) -> None:
    config = VideoModelConfig(backbone="videomae", widths=[32], depths=[1])
    with pytest.raises(InputError, match=f"the store has {images} of {size} x {size}"):
        make_backbone(config, images, size)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": [8]}, "of the same length"),
        ({"widths": [], "depths": []}, "of the same length"),
        ({"depths": [1, 0]}, "values of video.depths must be 1 to 256"),
        ({"widths": [8] * 17, "depths": [1] * 17}, "17 stages, expected at most 16"),
        ({"embedding": 0}, "video.embedding must be 1 to"),
        ({"dropout": 1.0}, "video.dropout"),
        ({"backbone": "videomae", "widths": [8, 40]}, "a multiple of 32"),
    ],
)
def test_impossible_sizes_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoModelConfig(**changes)
