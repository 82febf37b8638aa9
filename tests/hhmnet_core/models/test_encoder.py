"""What the base does for all encoders: bodies, standardisation, the temperature."""

import pytest
import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.encoder import Encoder
from hhmnet_core.skeleton.layouts import Layout, get_layout

LAYOUT = get_layout("kinect_v2_25")


class LinearEncoder(Encoder):
    """Features that are a linear map of each joint, so that outputs have a closed form."""

    batch_independent = True
    settings = frozenset({"embedding"})

    def __init__(self, config: ModelConfig, layout: Layout, *arguments: object) -> None:
        super().__init__(config, layout, *arguments)
        self.lift = torch.nn.Linear(layout.channels, 16)

    @staticmethod
    def feature_width(config: ModelConfig) -> int:
        return 16

    @property
    def num_draws(self) -> int:
        return 1

    def forward_features(self, x_rtvc: Tensor, draws_rd: Tensor | None) -> Tensor:
        scale = 1.0 if draws_rd is None else draws_rd[:, :, None, None]
        return scale * self.lift(x_rtvc).tanh()


def build(*arguments: object) -> LinearEncoder:
    return LinearEncoder(ModelConfig(embedding=8), LAYOUT, 7, *arguments).double()


def make_clips(number: int = 3, bodies: int = 1) -> Tensor:
    return torch.randn(number, 3, 16, 25, bodies, dtype=torch.float64)


def test_outputs_equal_their_formula() -> None:
    model, x_nctvm = build(), make_clips(bodies=2)
    model.standardise(torch.randn(25, 3), torch.tensor(2.0))
    encoded = model(x_nctvm)
    for n in range(3):
        bodies = [x_nctvm[n, ..., m].permute(1, 2, 0) for m in range(2)]
        standardised = [(body - model.input_mean) / 2 for body in bodies]
        pooled = sum(model.lift(body).tanh().mean((0, 1)) for body in standardised) / 2
        torch.testing.assert_close(encoded.logits_nk[n], model.classifier(pooled))
        direction = torch.nn.functional.normalize(model.projector(pooled), dim=0)
        torch.testing.assert_close(encoded.embedding_ne[n], direction / 0.1**0.5)


def test_the_order_of_bodies_does_not_matter() -> None:
    model, x_nctvm = build(), make_clips(bodies=3)
    logits_nk = model(x_nctvm).logits_nk
    torch.testing.assert_close(model(x_nctvm[..., [2, 0, 1]]).logits_nk, logits_nk)
    assert (model(x_nctvm[..., :1]).logits_nk - logits_nk).abs().max() > 1e-6


def test_absent_bodies_change_nothing() -> None:
    model, x_nctvm = build(), make_clips(bodies=2)
    x_nctvm[1, ..., 1] = 1e6
    draws_nd = torch.rand(3, 1, dtype=torch.float64)
    ragged = model(x_nctvm, torch.tensor([0, 1, 2, 4, 5]), draws_nd)
    alone = model(x_nctvm[1:2, ..., :1], None, draws_nd[1:2])
    both = model(x_nctvm[[0, 2]], None, draws_nd[[0, 2]])
    torch.testing.assert_close(ragged.logits_nk[1], alone.logits_nk[0])
    torch.testing.assert_close(ragged.logits_nk[[0, 2]], both.logits_nk)
    torch.testing.assert_close(ragged.embedding_ne[1], alone.embedding_ne[0])


def test_embeddings_have_a_norm_of_one_over_the_root_of_the_temperature() -> None:
    norms = build(0.04)(make_clips()).embedding_ne.norm(dim=1)
    torch.testing.assert_close(norms, torch.full((3,), 5.0, dtype=torch.float64))


@pytest.mark.parametrize("learn", [False, True])
def test_the_temperature_is_a_parameter_only_where_it_is_learned(learn: bool) -> None:
    model = build(0.1, learn)
    assert ("log_temperature" in dict(model.named_parameters())) == learn
    assert "log_temperature" in model.state_dict()


def test_standardisation_undoes_a_shift_and_a_scale() -> None:
    model, x_nctvm = build(), make_clips()
    plain = model(x_nctvm).logits_nk
    mean_vc = torch.randn(25, 3, dtype=torch.float64)
    model.standardise(mean_vc, torch.tensor(0.01))
    shrunk = 0.01 * x_nctvm + mean_vc.T[:, None, :, None]
    torch.testing.assert_close(model(shrunk).logits_nk, plain, atol=1e-6, rtol=0)


def test_constant_data_is_not_divided_by_zero() -> None:
    model, x_nctvm = build(), make_clips()
    plain = model(x_nctvm).logits_nk
    model.standardise(torch.zeros(25, 3), torch.tensor(0.0))
    torch.testing.assert_close(model(x_nctvm).logits_nk, plain)


def test_a_wrong_number_of_joints_is_named() -> None:
    with pytest.raises(InputError, match="Model input has 20 joints"):
        build()(torch.randn(3, 3, 16, 20, 1, dtype=torch.float64))
