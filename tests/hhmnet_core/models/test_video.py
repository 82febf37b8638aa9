"""The video network: frames mixed by the temporal module alone, heat maps, parts, positions."""

import pytest
import torch
from torch import nn

from hhmnet_core.errors import InputError
from hhmnet_core.models.backbones import VideoModelConfig
from hhmnet_core.models.video import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    GuidedVideo,
    VideoNetwork,
    grey_and_changes,
    shift_frames,
)

GRIDS = {"convnext": (4, 8, 8), "resnet": (4, 8, 8), "videomae": (2, 4, 4)}


def build(backbone: str = "convnext", **changes: object) -> VideoNetwork:
    torch.manual_seed(0)
    config = VideoModelConfig(backbone=backbone, widths=[8, 32], depths=[1, 1], **changes)
    return VideoNetwork(config, 4, 64, 5).eval()


@pytest.mark.parametrize("backbone", GRIDS)
def test_logits_of_a_clip_do_not_depend_on_its_batch(backbone: str) -> None:
    model = build(backbone)
    assert model.grid_shape == GRIDS[backbone]
    images = torch.rand(3, 4, 3, 64, 64)
    assert model.features(images).shape == (3, *GRIDS[backbone], 32)
    model.train()
    alone = model(images[1:2]).logits_nk
    torch.testing.assert_close(model(images).logits_nk[1:2], alone, atol=1e-5, rtol=1e-4)
    assert model(images).parts_npe is None


def test_every_parameter_gets_a_gradient() -> None:
    guided = GuidedVideo(build("resnet"), 6)
    heat_nthw, masks_npthw = torch.rand(2, 4, 8, 8), torch.rand(2, 3, 4, 8, 8)
    encoded = guided(torch.rand(2, 4, 3, 64, 64), heat_nthw, masks_npthw)
    projected_npe = guided.project_parts(torch.randn(2, 3, 6))
    torch.testing.assert_close(projected_npe.norm(dim=-1), torch.ones(2, 3))
    (encoded.logits_nk.square().sum() + (encoded.parts_npe * projected_npe).sum()).backward()
    for name, parameter in guided.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("temporal", ["none", "shift", "select"])
def test_only_the_temporal_module_mixes_frames(temporal: str) -> None:
    model = build(temporal=temporal)
    images = torch.rand(1, 4, 3, 64, 64)
    other = images.clone()
    other[:, 3] = 0
    same = torch.allclose(model.features(images)[:, 2], model.features(other)[:, 2], atol=1e-6)
    assert same == (temporal == "none")


def test_the_backbone_sees_images_standardised_by_the_statistics_of_imagenet() -> None:
    model = build(temporal="none")
    nn.init.zeros_(model.when_td), nn.init.zeros_(model.where_hwd)
    images = torch.rand(1, 4, 3, 64, 64)
    standardised = torch.stack(
        [(images[:, :, c] - IMAGENET_MEAN[c]) / IMAGENET_STD[c] for c in range(3)], 2
    )
    torch.testing.assert_close(model.features(images), model.backbone(standardised))


def test_shift_moves_an_eighth_each_way() -> None:
    grid = torch.arange(3.0).view(1, 3, 1, 1, 1).expand(1, 3, 1, 1, 16) + 1
    shifted = shift_frames(grid)[0, :, 0, 0]
    assert shifted[:, 0].tolist() == [0, 1, 2] and shifted[:, 2].tolist() == [2, 3, 0]
    assert shifted[:, 4].tolist() == [1, 2, 3]


def test_the_heat_map_weights_features_by_its_strength() -> None:
    model = build()
    images, heat = torch.rand(2, 4, 3, 64, 64), torch.rand(2, 4, 8, 8)
    heat = heat / heat.mean((1, 2, 3), keepdim=True)
    grid = model.norm(model.features(images))
    for logit, strength in ((-20.0, 0.0), (0.0, 0.5), (20.0, 1.0)):
        nn.init.constant_(model.strength_logit, logit)
        assert model.strength.item() == pytest.approx(strength, abs=1e-6)
        weights = (1 - strength) + strength * heat
        expected = model.classifier((grid * weights[..., None]).mean((2, 3)).flatten(1))
        torch.testing.assert_close(model(images, heat).logits_nk, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        model(images, torch.ones_like(heat)).logits_nk, model(images).logits_nk
    )


def test_dropout_zeroes_inputs_of_the_classifier_by_the_given_draws() -> None:
    model, images = build(dropout=0.5), torch.rand(1, 4, 3, 64, 64)
    assert model.num_draws == 4 * 32
    none_kept = model(images, draws_nd=torch.ones(1, model.num_draws)).logits_nk
    torch.testing.assert_close(none_kept[0], model.classifier.bias)
    all_kept = model(images, draws_nd=torch.zeros(1, model.num_draws)).logits_nk
    bias = model.classifier.bias
    torch.testing.assert_close(all_kept - bias, 2 * (model(images).logits_nk - bias))


def test_the_order_of_frames_matters() -> None:
    model = build(temporal="none")
    nn.init.zeros_(model.when_td)
    images = torch.rand(1, 4, 3, 64, 64)
    forward, backward = model(images).logits_nk, model(images.flip(1)).logits_nk
    assert (forward - backward).abs().max() > 1e-3


def test_parts_are_pooled_under_their_masks() -> None:
    model = build()
    images, masks = torch.rand(2, 4, 3, 64, 64), torch.rand(2, 6, 4, 8, 8)
    masks[1, 3] = 0
    parts = model(images, None, masks).parts_npe
    grid = model.norm(model.features(images))
    under = (masks[0, 2, ..., None] * grid[0]).sum((0, 1, 2)) / masks[0, 2].sum()
    expected = nn.functional.normalize(model.projector(under), dim=0)
    torch.testing.assert_close(parts[0, 2], expected, atol=1e-5, rtol=1e-4)
    assert parts.isfinite().all()


def test_images_too_small_for_the_stages_are_one_clear_error() -> None:
    config = VideoModelConfig(backbone="convnext", widths=[8] * 6, depths=[1] * 6)
    with pytest.raises(InputError, match=r"cannot take the store's images of 8 x 8.*fewer stages"):
        VideoNetwork(config, 4, 8, 5)


def test_changes_are_centred_at_a_half_and_absent_at_the_ends() -> None:
    images = torch.rand(2, 3, 3, 4, 4)
    changes = grey_and_changes(images)
    grey = images.mean(2)
    torch.testing.assert_close(changes[:, :, 0], grey)
    torch.testing.assert_close(changes[:, 1, 1], (grey[:, 1] - grey[:, 0] + 1) / 2)
    torch.testing.assert_close(changes[:, 1, 2], (grey[:, 2] - grey[:, 1] + 1) / 2)
    assert (changes[:, 0, 1] == 0.5).all() and (changes[:, 2, 2] == 0.5).all()
    assert changes.min() >= 0 and changes.max() <= 1


def test_the_network_sees_changes_where_the_config_asks_for_them() -> None:
    plain, changed = build(), build(changes=True)
    images = torch.rand(1, 4, 3, 64, 64)
    torch.testing.assert_close(changed.features(images), plain.features(grey_and_changes(images)))


def test_features_carry_their_position_in_time_and_space() -> None:
    model = build(temporal="none")
    images = torch.full((1, 4, 3, 64, 64), 0.3)
    grid = model.features(images)[0]
    nn.init.zeros_(model.where_hwd), nn.init.zeros_(model.when_td)
    without = model.features(images)[0]
    assert (grid[0] - without[0]).std() > 0.01
    assert (without[0] - without[3]).abs().max() < 1e-5
