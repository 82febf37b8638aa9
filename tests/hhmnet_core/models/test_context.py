"""The context of a joint, compared to loops over joints and frames."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from moments import standardise

from hhmnet_core.errors import InputError
from hhmnet_core.models.config import ModelConfig
from hhmnet_core.models.context import Difference, Differences, EndDistances
from hhmnet_core.models.stst import Stst
from hhmnet_core.skeleton.augment import rotation
from hhmnet_core.skeleton.layouts import LAYOUTS, PARTS, Layout, get_layout

ALL: tuple[Difference, ...] = get_args(Difference)
WITH_ENDS = [*ALL, "ends"]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("frames", [1, 6])
def test_differences_are_those_of_a_loop(layout: Layout, frames: int) -> None:
    x_rtvc = torch.randn(2, frames, layout.num_joints, layout.channels)
    found = dict(zip(ALL, Differences(ALL, layout)(x_rtvc).numpy(), strict=True))
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


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_distances_to_ends_are_those_of_a_loop(layout: Layout) -> None:
    x_rtvc = torch.randn(2, 3, layout.num_joints, layout.channels)
    found, given = EndDistances(layout)(x_rtvc).numpy(), x_rtvc.numpy()
    for body in range(2):
        for t in range(3):
            for joint in range(layout.num_joints):
                for number, end in enumerate(layout.ends):
                    distance = np.linalg.norm(given[body, t, joint] - given[body, t, end])
                    assert found[body, t, joint, number] == pytest.approx(distance, abs=2e-3)


def test_distances_do_not_change_when_a_skeleton_is_turned_and_moved() -> None:
    x_rtvc = torch.randn(1, 3, 20, 3)
    turn_33 = rotation(torch.tensor([[0.3, 2.0, -0.7]]))[0]
    distances = EndDistances(get_layout("kinect_v1_20"))
    torch.testing.assert_close(distances(x_rtvc @ turn_33.T + 5), distances(x_rtvc))


def test_the_gradient_of_a_body_without_extent_is_finite() -> None:
    x_rtvc = torch.zeros(1, 2, 20, 3, requires_grad=True)
    EndDistances(get_layout("kinect_v1_20"))(x_rtvc).sum().backward()
    assert torch.isfinite(x_rtvc.grad).all()


def model_of(**changes: Any) -> Stst:
    return Stst(ModelConfig(widths=[8], heads=2, **changes), get_layout("kinect_v1_20"), 3).eval()


def test_without_context_the_stem_reads_the_values_alone() -> None:
    layout = get_layout("kinect_v1_20")
    assert Differences((), layout)(torch.ones(2, 3, 20, 3)).shape == (0, 2, 3, 20, 3)
    plain = model_of(context=[])
    assert not {"context_std", "ends_mean", "ends_scale"} & set(plain.state_dict())
    assert plain.stem.in_features == 4 * 3


def test_the_stem_reads_each_kind_of_context_at_deviation_one() -> None:
    """Whatever the unit of the data, the network computes the same."""
    model = model_of(context=WITH_ENDS).double()
    x_rtvc = torch.randn(2, 16, 20, 3, dtype=torch.float64)
    outputs = []
    for unit in (1.0, 100.0):
        standardise(model, unit * x_rtvc)
        outputs.append(model.pool(unit * x_rtvc))
    torch.testing.assert_close(*outputs)
    standardised = (unit * x_rtvc - model.input_mean) / model.input_std
    distances = model.standardised_distances(standardised)
    for kind in (*model.with_differences(standardised).split(3, -1), distances):
        between_frames = kind.var((0, 1), correction=0).mean().sqrt()
        assert between_frames.item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(distances.mean((0, 1)), torch.zeros(20, 5).double())


def test_what_are_no_positions_has_no_distances() -> None:
    model = model_of(context=WITH_ENDS).double()
    x_rtvc = torch.randn(2, 16, 20, 3, dtype=torch.float64)
    standardise(model, x_rtvc, are_positions=False)
    assert not model.standardised_distances(x_rtvc).any()
    without = model_of(context=list(ALL)).double()
    assert without.load_state_dict(model.state_dict(), strict=False).missing_keys == []
    torch.testing.assert_close(model.pool(x_rtvc), without.pool(x_rtvc), rtol=0, atol=0)


def test_everything_else_begins_as_without_distances() -> None:
    weights = []
    for context in (list(ALL), WITH_ENDS):
        torch.manual_seed(1)
        weights.append(model_of(context=context).state_dict())
    without, whole = weights
    for name, weight in without.items():
        torch.testing.assert_close(whole[name], weight, rtol=0, atol=0)
    assert set(whole) - set(without) == {"ends_stem.weight", "ends_mean", "ends_scale"}


def test_context_that_never_varies_is_not_scaled() -> None:
    model = model_of(context=WITH_ENDS)
    x_rtvc = torch.zeros(2, 4, 20, 3)
    x_rtvc[:, :, 0] = torch.randn(2, 1, 3)
    standardise(model, x_rtvc)
    body, parent, following = model.context_std.tolist()
    assert body > 0 and parent > 0 and following == 1


def test_context_is_named_once() -> None:
    with pytest.raises(InputError, match=r"model\.context names the same twice: next next\."):
        ModelConfig(context=["next", "next"])


def test_ends_are_the_joints_of_limbs_farthest_from_the_centre() -> None:
    layout = get_layout("kinect_v1_20")
    names = ["head", "left_hand", "right_hand", "left_foot", "right_foot"]
    assert [layout.joints[end] for end in layout.ends] == names
    wide = get_layout("kinect_v2_25")
    hands = [wide.joints[end] for end in wide.ends][1:3]
    assert hands == ["left_hand_tip", "right_hand_tip"]
    for each in LAYOUTS.values():
        assert len(each.ends) == len(PARTS) - 1
    without_limbs = replace(layout, parts={})
    assert without_limbs.ends == (3, 7, 11, 15, 19)
