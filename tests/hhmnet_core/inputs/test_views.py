"""Views of clips that are scored: how they spread, and what the reader returns for them."""

import math

import numpy as np
import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.inputs.normalise import axis_extent, scale_axes
from hhmnet_core.inputs.views import WHOLE, View, mean_of_views, scored_views
from hhmnet_core.skeleton.augment import AugmentConfig, frame_positions
from hhmnet_core.skeleton.layouts import LAYOUTS
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.phase1.config import Phase1Config

CPU = torch.device("cpu")
BODY, PLANE = LAYOUTS["kinect_v1_20"], LAYOUTS["coco_17"]
STRONG = AugmentConfig(crop=0.6, yaw=60, motion_share=0.5, views=8)


def test_views_spread_over_half_of_what_training_draws_from() -> None:
    first, *others = scored_views(STRONG, BODY)
    assert first == WHOLE and len(others) == 7
    eighths = np.arange(1, 8) / 8
    lengths = np.array([view.length for view in others])
    np.testing.assert_allclose(np.sort(lengths), np.sort(1 - 0.2 * eighths))
    np.testing.assert_allclose(
        np.sort([view.yaw for view in others]), math.radians(60) * (eighths - 0.5), atol=1e-12
    )
    np.testing.assert_allclose(
        np.sort([view.motion_share for view in others]), 0.5 * (eighths - 0.5), atol=1e-12
    )
    starts = np.array([view.start for view in others])
    np.testing.assert_allclose(np.sort(starts / (1 - lengths)), eighths)


def test_nothing_is_scored_that_training_does_not_show() -> None:
    plain = AugmentConfig(crop=1, yaw=0, motion_share=0, views=5)
    assert scored_views(plain, BODY) == [WHOLE]
    assert all(view.yaw == 0 for view in scored_views(STRONG, PLANE))
    drawn = AugmentConfig(random_frames=True, yaw=30, views=4)
    assert all(view.length == 1 for view in scored_views(drawn, BODY))
    assert [view.draw for view in scored_views(drawn, BODY)] == [0, 1, 2, 3]
    assert scored_views(AugmentConfig(), BODY) == [WHOLE]


def test_a_share_of_motion_stays_within_its_range() -> None:
    assert [View(motion_share=m).shared_motion(0.2) for m in (-0.3, 0.3, 0.9)] == [0, 0.5, 1]


@pytest.mark.parametrize("axes", [False, True])
def test_a_view_is_cropped_and_turned(tiny_clips: ClipSet, axes: bool) -> None:
    config = DataConfig(frames=16, motion_share=0.4, normalise_axes=axes, axes_extent="clip")
    reader, view = BatchReader(tiny_clips, config, CPU), View(0.1, 0.6, 0.2, 0.5)
    chosen = torch.tensor([7, 5, 0, 53])
    lengths = reader.num_frames(chosen)
    positions = (lengths - 1)[:, None] * (0.1 + 0.6 * torch.linspace(0, 1, 16))
    frames = reader.motion.frames_at(chosen, positions, torch.full((4,), 0.6))
    cos, sin = math.cos(0.5), math.sin(0.5)
    turn = torch.tensor([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])

    def turned(positions_nt: torch.Tensor) -> torch.Tensor:
        read = reader.read(reader.plan(chosen, positions_nt)).joints_nctvm
        return torch.einsum("dc,nctvm->ndtvm", turn, read)

    expected, found = turned(frames), reader.view(chosen, view)
    if axes:
        whole = turned(torch.arange(int(lengths.max())).minimum(lengths[:, None] - 1).float())
        rows = found.body_rows
        expected = scale_axes(expected, rows, axis_extent(whole, rows))
    torch.testing.assert_close(found.joints_nctvm, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("whole", [False, True])
def test_views_draw_frames_as_training_does(tiny_clips: ClipSet, whole: bool) -> None:
    config = DataConfig(frames=40, motion_share=0, whole_frames=whole)
    reader, chosen = BatchReader(tiny_clips, config, CPU), torch.tensor([7, 5, 0, 53])
    lengths = reader.num_frames(chosen)
    found = [reader.scored_positions(chosen, View(draw=k)) for k in (1, 2, 2)]
    assert torch.equal(found[1], found[2]) and not torch.equal(found[0], found[1])
    for positions in found:
        assert torch.equal(positions, positions.floor())
        assert (positions.diff(dim=1) >= 0).all() and (positions.diff(dim=1) == 0).any()
        assert (positions >= 0).all() and (positions < lengths[:, None]).all()
    drawn = View(draw=1).shares(40).double().numpy()
    expected = np.floor(drawn * lengths[:, None].numpy())
    np.testing.assert_array_equal(found[0].numpy(), expected)
    assert 0.3 < drawn.mean() < 0.7 and drawn.min() < 0.1 and drawn.max() > 0.9


def test_the_first_view_is_the_whole_clip(tiny_clips: ClipSet) -> None:
    config = DataConfig(frames=16, motion_share=0)
    reader, chosen = BatchReader(tiny_clips, config, CPU), torch.tensor([7, 5])
    read = reader.read(reader.plan(chosen, frame_positions(reader.num_frames(chosen), 16)))
    assert torch.equal(reader.view(chosen).joints_nctvm, read.joints_nctvm)
    assert torch.equal(reader.view(chosen, WHOLE).joints_nctvm, read.joints_nctvm)


def test_logits_of_one_view_are_left_as_they_are() -> None:
    one, other = torch.randn(2, 3, 4)
    assert mean_of_views([one]) is one
    torch.testing.assert_close(mean_of_views([one, other]), (one + other) / 2)


def test_wrong_numbers_of_views_are_refused() -> None:
    for views in (0, 65):
        with pytest.raises(InputError, match=rf"augment\.views must be 1 to 64, but is {views}\."):
            AugmentConfig(views=views)


@pytest.mark.parametrize(
    ("augment", "fits"),
    [
        (AugmentConfig(views=2, motion_share=0), False),
        (AugmentConfig(views=2, motion_share=0, crop=1), True),
        (AugmentConfig(views=2, motion_share=0, random_frames=True), True),
        (AugmentConfig(views=2, motion_share=0.1, random_frames=True), False),
        (AugmentConfig(motion_share=0), True),
        (AugmentConfig(), False),
    ],
)
def test_views_that_cut_are_refused_where_frames_are_read_as_recorded(
    augment: AugmentConfig, fits: bool
) -> None:
    data = DataConfig(whole_frames=True, motion_share=0)
    if fits:
        Phase1Config(data=data, augment=augment)
    else:
        with pytest.raises(InputError, match="reads positions between frames"):
            Phase1Config(data=data, augment=augment)
