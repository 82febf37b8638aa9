"""What every registered encoder must do; a newly registered one is tested without an edit here."""

from dataclasses import asdict, fields
from typing import get_args, get_type_hints

import pytest
import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.models.registry import ENCODERS, build_encoder, encoder_type
from hhmnet_core.skeleton.layouts import LAYOUTS, get_layout

SMALL = {"widths": [16, 32], "heads": 2, "patch": 2, "embedding": 24}
OTHER = ModelConfig(  # another value of each setting
    widths=[24, 24],
    heads=4,
    patch=3,
    segments=2,
    mask=False,
    rerank=False,
    k1=2,
    k2=1,
    branches=[(7, 2)],
    select=False,
    drop_path=0.4,
    dropout=0.3,
    embedding=20,
    joint_scale=0.1,
    context=["next"],
)
OTHER_SWITCHES = [{"re_dmt": 1, "kept_ratio": 0.9}, {"attention": False}]  # not together
NEEDED = {"kept_ratio": {"re_dmt": 1}}  # what a setting is read with
CLASSES = 7


def build(name: str, layout: str = "kinect_v1_20", **changes: object) -> Encoder:
    torch.manual_seed(0)
    config = ModelConfig(**{**SMALL, "name": name, **changes})
    return build_encoder(config, get_layout(layout), CLASSES, learn_temperature=True)


def make_clips(layout: str = "kinect_v1_20", frames: int = 16, bodies: int = 2) -> Tensor:
    skeleton = get_layout(layout)
    return torch.randn(3, skeleton.channels, frames, skeleton.num_joints, bodies)


def test_the_names_of_the_config_are_those_of_the_registry() -> None:
    assert get_args(get_type_hints(ModelConfig)["name"]) == tuple(ENCODERS)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_name_builds_its_encoder(name: str) -> None:
    assert type(build(name)) is encoder_type(name) is ENCODERS[name]


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="must be one of stst, st_gcn, ctr_gcn, but is lstm"):
        encoder_type("lstm")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ENCODERS)
def test_outputs_have_their_shapes_and_every_parameter_gets_a_gradient(
    name: str, layout: str
) -> None:
    encoder = build(name, layout)
    with torch.no_grad():  # initial zeros, such as CTR-GCN's alpha, hold back gradients
        for parameter in encoder.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    encoded = encoder(make_clips(layout), None, torch.rand(3, encoder.num_draws))
    assert encoded.logits_nk.shape == (3, CLASSES) and encoded.logits_nk.isfinite().all()
    assert encoded.embedding_ne.shape == (3, 24) and encoded.embedding_ne.isfinite().all()
    (encoded.logits_nk.square().sum() + encoded.embedding_ne[:, 0].sum()).backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
        # A bias before a normalisation over the batch has no influence.
        assert parameter.grad.any() or (key.endswith("bias") and not encoder.batch_independent), key


@pytest.mark.parametrize("name", ENCODERS)
def test_evaluation_is_deterministic(name: str) -> None:
    encoder, x_nctvm = build(name).eval(), make_clips()
    torch.manual_seed(1)
    first = encoder(x_nctvm)
    torch.manual_seed(2)
    second = encoder(x_nctvm)
    assert torch.equal(first.logits_nk, second.logits_nk)
    assert torch.equal(first.embedding_ne, second.embedding_ne)


@pytest.mark.parametrize("name", ENCODERS)
def test_a_clip_depends_on_its_batch_only_where_the_encoder_declares_it(name: str) -> None:
    encoder, x_nctvm = build(name).double(), make_clips().double()
    for mode, independent in (("eval", True), ("train", encoder.batch_independent)):
        getattr(encoder, mode)()
        alone, together = encoder(x_nctvm[1:2]).logits_nk[0], encoder(x_nctvm).logits_nk[1]
        difference = (alone - together).abs().max()
        assert difference < 1e-9 if independent else difference > 1e-3


def encode(encoder: Encoder) -> Tensor:
    """Encode fixed clips, with draws that lie between the dropout probabilities of the configs."""
    torch.manual_seed(1)
    encoded = encoder(make_clips(), None, torch.full((3, encoder.num_draws), 0.2))
    return torch.cat([encoded.logits_nk, encoded.embedding_ne], 1)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_reads_the_settings_that_it_declares_and_no_others(name: str) -> None:
    other = asdict(OTHER)
    for switch in OTHER_SWITCHES:
        other |= switch
    read = encoder_type(name).settings
    settings = {field.name for field in fields(ModelConfig)} - {"name"}
    assert read <= settings
    expected = encode(build(name))
    for switch in OTHER_SWITCHES:
        unread = {key: asdict(OTHER)[key] for key in settings - read} | switch
        assert read & switch.keys() or torch.equal(encode(build(name, **unread)), expected)
    for key in read:
        expected = encode(build(name, **NEEDED.get(key, {})))
        changed = encode(build(name, **NEEDED.get(key, {}), **{key: other[key]}))
        assert changed.shape != expected.shape or not torch.equal(changed, expected), key
