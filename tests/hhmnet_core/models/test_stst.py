"""ST&ST: symmetries that must hold exactly, and every parameter learning."""

import pytest
import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.layouts import LAYOUTS, Layout, get_layout

SMALL = {"widths": [32, 32, 64], "heads": 4}
SWITCHES = [
    {},
    {"mask": False},
    {"rerank": False},
    {"select": False, "branches": [(3, 1)]},
    {"patch": 4, "segments": 3},
]


def encoder(layout: Layout, **changes: object) -> Stst:
    return Stst(ModelConfig(**{**SMALL, **changes}), layout, 7).double()


def clips(layout: Layout, number: int = 3, frames: int = 16, bodies: int = 1) -> Tensor:
    shape = (number, layout.channels, frames, layout.num_joints, bodies)
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("frames", [1, 5, 16])
def test_shapes_hold_and_every_parameter_learns(
    layout: Layout, switches: dict[str, object], frames: int
) -> None:
    model = encoder(layout, **switches)
    encoded = model(clips(layout, frames=frames), None, torch.rand(3, model.num_draws))
    assert encoded.logits_nk.shape == (3, 7)
    assert encoded.embedding_ne.shape == (3, 128)
    (encoded.logits_nk.square().sum() + encoded.embedding_ne[:, 0].sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        # The kernel taps beside a single frame never meet it.
        if frames > 5:
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_relabelled_joints_leave_logits_unchanged(switches: dict[str, object]) -> None:
    layout = get_layout("kinect_v1_20")
    order = torch.randperm(20)
    model = encoder(layout, **switches)
    for parameter in model.parameters():  # so that no map is symmetric by its initialisation
        torch.nn.init.normal_(parameter, std=0.2)
    model.standardise(torch.randn(20, 3), torch.tensor(2.0))
    relabelled = encoder(layout.permuted(tuple(order.tolist())), **switches)
    weights = model.state_dict()
    for name, weight in weights.items():
        if name in ("joint_embedding", "input_mean"):
            weights[name] = weight[order]
        elif name.endswith("static_map"):
            weights[name] = weight[:, order][:, :, order]
    relabelled.load_state_dict(weights)
    x = clips(layout)
    logits = model(x).logits_nk
    torch.testing.assert_close(relabelled(x[:, :, :, order]).logits_nk, logits, atol=1e-9, rtol=0)
    assert (relabelled(x).logits_nk - logits).abs().max() > 1e-3


def test_bodies_in_any_order_give_the_same_logits() -> None:
    layout = get_layout("kinect_v2_25")
    model, x = encoder(layout), clips(layout, bodies=3)
    torch.testing.assert_close(model(x[..., [2, 0, 1]]).logits_nk, model(x).logits_nk)
    assert (model(x[..., :1]).logits_nk - model(x).logits_nk).abs().max() > 1e-6


def test_absent_bodies_are_as_if_never_there() -> None:
    layout = get_layout("kinect_v2_25")
    model, x = encoder(layout), clips(layout, bodies=2)
    x[1, ..., 1] = 0
    draws = torch.rand(3, model.num_draws)
    ragged = model(x, torch.tensor([0, 1, 2, 4, 5]), draws)
    alone = model(x[1:2, ..., :1], None, draws[1:2])
    both = model(x[[0, 2]], None, draws[[0, 2]])
    torch.testing.assert_close(ragged.logits_nk[1], alone.logits_nk[0])
    torch.testing.assert_close(ragged.logits_nk[[0, 2]], both.logits_nk)
    torch.testing.assert_close(ragged.embedding_ne[1], alone.embedding_ne[0])


def test_clips_do_not_see_their_batch() -> None:
    layout = get_layout("kinect_v1_20")
    model, x = encoder(layout), clips(layout, number=5)
    torch.testing.assert_close(model(x[2:3]).logits_nk, model(x).logits_nk[2:3])


def test_embeddings_carry_the_temperature() -> None:
    layout = get_layout("kinect_v1_20")
    model = Stst(ModelConfig(**SMALL), layout, 7, temperature=0.04)
    embedding = model(clips(layout).float()).embedding_ne
    torch.testing.assert_close(embedding.norm(dim=1), torch.full((3,), 5.0))
    assert "log_temperature" in dict(
        Stst(ModelConfig(**SMALL), layout, 7, learn_temperature=True).named_parameters()
    )


def test_standardised_input_is_seen_as_if_it_had_been_so() -> None:
    layout = get_layout("kinect_v1_20")
    model, x = encoder(layout), clips(layout)
    plain = model(x).logits_nk
    mean = torch.randn(20, 3, dtype=torch.float64)
    model.standardise(mean, torch.tensor(0.01))
    shrunk = 0.01 * x + mean.T[:, None, :, None]
    torch.testing.assert_close(model(shrunk).logits_nk, plain, atol=1e-6, rtol=0)
    model.standardise(torch.zeros(20, 3), torch.tensor(0.0))  # constant data: nothing to divide by
    torch.testing.assert_close(model(x).logits_nk, plain)


def test_stochastic_depth_drops_whole_blocks_of_a_clip() -> None:
    layout = get_layout("kinect_v1_20")
    model, x = encoder(layout, drop_path=0.5, dropout=0.0), clips(layout)
    kept = torch.full((3, model.num_draws), 0.99)
    dropped = kept.clone()
    dropped[1, 2] = 0.1
    before, after = model(x, None, kept).logits_nk, model(x, None, dropped).logits_nk
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert (before[1] - after[1]).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"widths": [30]}, "multiples of twice model.heads"),
        ({"widths": []}, "multiples of twice model.heads"),
        ({"widths": [0]}, "multiples of twice model.heads"),
        ({"heads": 0}, "model.heads must be at least 1, but is 0"),
        ({"patch": 0}, "model.patch must be at least 1"),
        ({"segments": 0}, "model.segments must be at least 1"),
        ({"k1": 0}, "model.k1 must be at least 1"),
        ({"embedding": 0}, "model.embedding must be at least 1"),
        ({"branches": [(-1, 1)]}, "odd kernels"),
        ({"kept_ratio": 0.0}, "model.kept_ratio must be in"),
        ({"dropout": 1.0}, "model.dropout must be in"),
        ({"branches": [(4, 1)]}, "odd kernels"),
    ],
)
def test_impossible_config_is_named(bad: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelConfig(**bad)


def test_wrong_joints_are_named_at_the_door() -> None:
    with pytest.raises(InputError, match="Model input has 25 joints"):
        encoder(get_layout("kinect_v1_20"))(clips(get_layout("kinect_v2_25")))
