"""ST&ST: gradients with each switch, equivariance to joint order, stochastic depth."""

import pytest
import torch
from torch import Tensor

from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.layouts import LAYOUTS, Layout, get_layout

SMALL = {"widths": [32, 32, 64], "heads": 4}
SWITCHES = [
    {},
    {"mask": False},
    {"rerank": False},
    {"attention": False},
    {"re_dmt": 1},
    {"context": []},
    {"context": ["parent", "next"]},
    {"select": False, "branches": [(3, 1)]},
    {"patch": 4, "segments": 3},
]


def build(layout: Layout, **changes: object) -> Stst:
    return Stst(ModelConfig(**{**SMALL, **changes}), layout, 7).double()


def make_clips(layout: Layout, number: int = 3, frames: int = 16) -> Tensor:
    shape = (number, layout.channels, frames, layout.num_joints, 1)
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("frames", [1, 5, 16])
def test_every_parameter_learns_with_each_switch_and_any_number_of_frames(
    layout: Layout, switches: dict[str, object], frames: int
) -> None:
    model = build(layout, **switches)
    encoded = model(make_clips(layout, frames=frames), None, torch.rand(3, model.num_draws))
    assert encoded.logits_nk.shape == (3, 7)
    assert encoded.embedding_ne.shape == (3, 128)
    (encoded.logits_nk.square().sum() + encoded.embedding_ne[:, 0].sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        # With a single frame, the outer taps of temporal kernels see padding alone.
        if frames > 5:
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(("frames", "of_features"), [(1, 1), (5, 1), (16, 2), (17, 3), (32, 4)])
def test_features_have_a_frame_for_each_patch_halved_where_widths_grow(
    frames: int, of_features: int
) -> None:
    layout = get_layout("kinect_v1_20")
    model, x_nctvm = build(layout), make_clips(layout, frames=frames)
    features = model.forward_features(x_nctvm[..., 0].permute(0, 2, 3, 1), None)
    assert features.shape == (3, of_features, 20, 64)


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_joints_in_another_order_give_the_same_logits(switches: dict[str, object]) -> None:
    layout = get_layout("kinect_v1_20")
    order = torch.randperm(20)
    model = build(layout, **switches)
    for parameter in model.parameters():  # initial maps are symmetric and would prove less
        torch.nn.init.normal_(parameter, std=0.2)
    model.standardise(torch.randn(20, 3), torch.tensor(2.0))
    reordered = build(layout.permuted(tuple(order.tolist())), **switches)
    weights = model.state_dict()
    for name, weight in weights.items():
        if name in ("joint_embedding", "input_mean"):
            weights[name] = weight[order]
        elif name.endswith("static_map"):
            weights[name] = weight[:, order][:, :, order]
    reordered.load_state_dict(weights)
    x_nctvm = make_clips(layout)
    logits_nk = model(x_nctvm).logits_nk
    torch.testing.assert_close(
        reordered(x_nctvm[:, :, :, order]).logits_nk, logits_nk, atol=1e-9, rtol=0
    )
    assert (reordered(x_nctvm).logits_nk - logits_nk).abs().max() > 1e-3


def test_stochastic_depth_drops_whole_blocks_of_a_clip() -> None:
    layout = get_layout("kinect_v1_20")
    model, x_nctvm = build(layout, drop_path=0.5, dropout=0.0), make_clips(layout)
    kept = torch.full((3, model.num_draws), 0.99)
    dropped = kept.clone()
    dropped[1, 2] = 0.1
    before, after = model(x_nctvm, None, kept).logits_nk, model(x_nctvm, None, dropped).logits_nk
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert (before[1] - after[1]).abs().max() > 1e-6


def test_dropout_zeroes_channels_of_the_classifiers_input_and_scales_the_others() -> None:
    model = build(get_layout("kinect_v1_20"), dropout=0.25)
    draws_nd = torch.rand(2, model.num_draws, dtype=torch.float64)
    pooled_nc = torch.randn(2, 64, dtype=torch.float64)
    kept_nc = draws_nd[:, 3:] >= 0.25
    torch.testing.assert_close(
        model.drop_features(pooled_nc, draws_nd), torch.where(kept_nc, pooled_nc / 0.75, 0.0)
    )
    assert torch.equal(model.drop_features(pooled_nc, None), pooled_nc)
