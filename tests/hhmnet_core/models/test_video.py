"""The video network: every backbone one grid, clips alone, guidance a weighting, bad weights."""

from pathlib import Path

import huggingface_hub
import pytest
import torch
from torch import nn
from transformers import ConvNextConfig, ConvNextModel, ResNetConfig, ResNetModel

from hhmnet_core.errors import InputError
from hhmnet_core.models.backbones import VideoModelConfig, make_backbone
from hhmnet_core.models.video import VideoNetwork, grey_and_changes, shift_frames

GRIDS = {"convnext": (4, 8, 8), "resnet": (4, 8, 8), "videomae": (2, 4, 4)}


def network(backbone: str, **changes: object) -> VideoNetwork:
    torch.manual_seed(0)
    config = VideoModelConfig(backbone=backbone, widths=[8, 32], depths=[1, 1], **changes)
    return VideoNetwork(config, 4, 64, 5).eval()


@pytest.mark.parametrize("backbone", GRIDS)
def test_every_backbone_gives_one_grid_and_sees_clips_alone(backbone: str) -> None:
    model = network(backbone)
    assert model.grid_shape == GRIDS[backbone]
    images = torch.rand(3, 4, 3, 64, 64)
    grid = model.features(images)
    assert grid.shape == (3, *GRIDS[backbone], 32)
    model.train()
    alone = model(images[1:2]).logits_nk
    torch.testing.assert_close(model(images).logits_nk[1:2], alone, atol=1e-5, rtol=1e-4)
    assert model(images).parts_npe is None


@pytest.mark.parametrize("temporal", ["none", "shift", "select"])
def test_temporal_module_alone_ties_images(temporal: str) -> None:
    model = network("convnext", temporal=temporal)
    images = torch.rand(1, 4, 3, 64, 64)
    other = images.clone()
    other[:, 3] = 0
    same = torch.allclose(model.features(images)[:, 2], model.features(other)[:, 2], atol=1e-6)
    assert same == (temporal == "none")


def test_shift_moves_an_eighth_each_way() -> None:
    grid = torch.arange(3.0).view(1, 3, 1, 1, 1).expand(1, 3, 1, 1, 16) + 1
    shifted = shift_frames(grid)[0, :, 0, 0]
    assert shifted[:, 0].tolist() == [0, 1, 2] and shifted[:, 2].tolist() == [2, 3, 0]
    assert shifted[:, 4].tolist() == [1, 2, 3]


def test_heat_weights_features_by_its_strength() -> None:
    model = network("convnext")
    images, heat = torch.rand(2, 4, 3, 64, 64), torch.rand(2, 4, 8, 8)
    heat = heat / heat.mean((1, 2, 3), keepdim=True)
    grid = model.norm(model.features(images))
    for logit, share in ((-20.0, 0.0), (0.0, 0.5), (20.0, 1.0)):
        nn.init.constant_(model.strength_logit, logit)
        weights = (1 - share) + share * heat
        expected = model.classifier((grid * weights[..., None]).mean((2, 3)).flatten(1))
        torch.testing.assert_close(model(images, heat).logits_nk, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        model(images, torch.ones_like(heat)).logits_nk, model(images).logits_nk
    )


def test_frames_are_classified_in_their_order() -> None:
    model = network("convnext", temporal="none")
    nn.init.zeros_(model.when_td)
    images = torch.rand(1, 4, 3, 64, 64)
    there, back = model(images).logits_nk, model(images.flip(1)).logits_nk
    assert (there - back).abs().max() > 1e-3


def test_parts_are_pooled_under_their_masks() -> None:
    model = network("convnext")
    images, masks = torch.rand(2, 4, 3, 64, 64), torch.rand(2, 6, 4, 8, 8)
    masks[1, 3] = 0
    parts = model(images, None, masks).parts_npe
    grid = model.norm(model.features(images))
    under = (masks[0, 2, ..., None] * grid[0]).sum((0, 1, 2)) / masks[0, 2].sum()
    expected = nn.functional.normalize(model.projector(under), dim=0)
    torch.testing.assert_close(parts[0, 2], expected, atol=1e-5, rtol=1e-4)
    assert parts.isfinite().all()


def test_pretrained_weights_are_read_from_a_folder_and_frozen_statistics_stay(
    tmp_path: Path,
) -> None:
    torch.manual_seed(3)
    source = ResNetModel(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    )
    for module in source.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    source.save_pretrained(tmp_path)
    config = VideoModelConfig(backbone="resnet", pretrained=str(tmp_path))
    ours = make_backbone(config, 2, 32).train()
    images = torch.rand(1, 2, 3, 32, 32)
    expected = source.eval()(images[0]).last_hidden_state.permute(0, 2, 3, 1)
    torch.testing.assert_close(ours(images)[0], expected, atol=1e-5, rtol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ours.modules())


def test_weights_that_are_not_there_or_do_not_fit_are_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name in (str(tmp_path / "nowhere"), "nobody/has-such-a-network"):
        with pytest.raises(InputError, match=r"cannot be loaded .*config\.json and model\.safe"):
            make_backbone(VideoModelConfig("convnext", pretrained=name), 4, 32)
    source = ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1]))
    source.save_pretrained(tmp_path / "resnet")
    with pytest.raises(InputError, match=r"is a resnet, but video\.backbone is convnext"):
        make_backbone(VideoModelConfig("convnext", pretrained=str(tmp_path / "resnet")), 4, 32)
    shape = ConvNextConfig(num_stages=2, hidden_sizes=[8, 16], depths=[1, 1])
    ConvNextModel(shape).save_pretrained(tmp_path / "wide")
    shape.hidden_sizes = [8, 24]
    shape.save_pretrained(tmp_path / "wide")
    with pytest.raises(InputError, match="do not fit a convnext"):
        make_backbone(VideoModelConfig("convnext", pretrained=str(tmp_path / "wide")), 4, 32)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"widths": [8]}, "as long as each other"),
        ({"widths": [], "depths": []}, "as long as each other"),
        ({"depths": [1, 0]}, "at least 1"),
        ({"dropout": 1.0}, "video.dropout"),
        ({"backbone": "videomae", "widths": [8, 40]}, "a multiple of 32"),
    ],
)
def test_bad_sizes_are_named(bad: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        VideoModelConfig(**bad)


@pytest.mark.parametrize(("images", "size"), [(3, 64), (4, 60)])
def test_videomae_says_which_images_it_takes(images: int, size: int) -> None:
    config = VideoModelConfig(backbone="videomae", widths=[32], depths=[1])
    with pytest.raises(InputError, match=f"the store has {images} of {size} x {size}"):
        make_backbone(config, images, size)


def test_images_too_small_for_the_stages_are_one_clear_error() -> None:
    config = VideoModelConfig(backbone="convnext", widths=[8] * 6, depths=[1] * 6)
    with pytest.raises(InputError, match=r"convnext cannot take images of 8 x 8.*fewer stages"):
        VideoNetwork(config, 4, 8, 5)


def test_changes_stand_around_the_middle_and_end_in_none() -> None:
    images = torch.rand(2, 3, 3, 4, 4)
    made = grey_and_changes(images)
    grey = images.mean(2)
    torch.testing.assert_close(made[:, :, 0], grey)
    torch.testing.assert_close(made[:, 1, 1], (grey[:, 1] - grey[:, 0] + 1) / 2)
    torch.testing.assert_close(made[:, 1, 2], (grey[:, 2] - grey[:, 1] + 1) / 2)
    assert (made[:, 0, 1] == 0.5).all() and (made[:, 2, 2] == 0.5).all()
    assert made.min() >= 0 and made.max() <= 1


def test_what_is_pooled_knows_where_it_was() -> None:
    model = network("convnext", temporal="none")
    grid = model.features(torch.full((1, 4, 3, 64, 64), 0.3))[0]
    nn.init.zeros_(model.where_hwd), nn.init.zeros_(model.when_td)
    same = model.features(torch.full((1, 4, 3, 64, 64), 0.3))[0]
    assert (grid[0] - same[0]).std() > 0.01 and (same[0] - same[3]).abs().max() < 1e-5
