"""The context of a joint, compared to loops over joints and frames."""

from typing import get_args

import numpy as np
import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import Difference, ModelConfig
from hhmnet_core.models.context import Context
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.layouts import LAYOUTS, Layout, get_layout

ALL: tuple[Difference, ...] = get_args(Difference)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("frames", [1, 6])
def test_differences_are_those_of_a_loop(layout: Layout, frames: int) -> None:
    x_rtvc = torch.randn(2, frames, layout.num_joints, layout.channels)
    found = dict(zip(ALL, Context(ALL, layout)(x_rtvc).numpy(), strict=True))
    given = x_rtvc.numpy()
    for body in range(2):
        for t in range(frames):
            for joint, parent in enumerate(layout.parents):
                value, at = given[body, t, joint], (body, t, joint)
                mean = given[body, t].sum(0) / layout.num_joints
                np.testing.assert_allclose(found["body"][at], value - mean, atol=1e-5)
                np.testing.assert_array_equal(found["parent"][at], value - given[body, t, parent])
                following = given[body, min(t + 1, frames - 1), joint]
                np.testing.assert_array_equal(found["next"][at], following - value)
    assert not found["parent"][:, :, layout.centre].any()
    assert not found["next"][:, -1].any()


def test_without_differences_there_is_no_context() -> None:
    layout = get_layout("kinect_v1_20")
    assert Context((), layout)(torch.ones(2, 3, 20, 3)).shape == (0, 2, 3, 20, 3)
    plain = Stst(ModelConfig(widths=[8], heads=2, context=[]), layout, 3)
    assert "context_std" not in plain.state_dict() and plain.stem.in_features == 4 * 3


def test_the_stem_reads_each_difference_at_deviation_one() -> None:
    """Whatever the unit of the data, the network computes the same."""
    layout = get_layout("kinect_v1_20")
    model = Stst(ModelConfig(widths=[8], heads=2), layout, 3).double().eval()
    x_rtvc = torch.randn(2, 16, 20, 3, dtype=torch.float64)
    outputs = []
    for unit in (1.0, 100.0):
        seen = unit * x_rtvc
        deviations_g = model.context(seen).flatten(1).std(1)
        model.standardise(seen.mean((0, 1)), seen.std(), deviations_g)
        outputs.append(model.pool(seen))
    torch.testing.assert_close(*outputs)
    standardised = (seen - model.input_mean) / model.input_std
    scaled = model.context(standardised) / model.context_std[:, None, None, None, None]
    torch.testing.assert_close(scaled.flatten(1).std(1), torch.ones(3).double(), rtol=0.05, atol=0)


def test_a_difference_that_never_occurs_is_not_scaled() -> None:
    model = Stst(ModelConfig(widths=[8], heads=2), get_layout("kinect_v1_20"), 3)
    model.standardise(torch.zeros(20, 3), torch.tensor(1.0), torch.tensor([0.0, 0.5, 0.0]))
    assert model.context_std.tolist() == [1.0, 0.5, 1.0]


def test_a_difference_is_named_once() -> None:
    with pytest.raises(InputError, match=r"model\.context names a difference twice: next next\."):
        ModelConfig(context=["next", "next"])
