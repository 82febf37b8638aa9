"""The preparation of clips in an exported graph equals that of the reader of batches."""

import numpy as np
import pytest
import torch

from hhmnet_core.deploy.export_check import make_clip, pad
from hhmnet_core.deploy.graph_inputs import ClipPreparation, PaddedClips
from hhmnet_core.inputs.batches import BatchReader
from hhmnet_core.inputs.config import DataConfig
from hhmnet_core.skeleton.layouts import LAYOUTS
from hhmnet_core.store.clips import Clip, ClipSet
from hhmnet_core.store.manifest import Manifest

SHAPES = [(1, 1), (2, 1), (1, 7), (2, 7), (1, 300), (3, 40), (1, 2)]


def clip_set(layout: str, clips: list[np.ndarray]) -> ClipSet:
    manifest = Manifest(1, "made", layout, ("a", "b"), {}, {}, (), "", {})
    return ClipSet.of(manifest, [Clip(str(n), 0, 0, 0, 0, each) for n, each in enumerate(clips)])


def prepared(config: DataConfig, layout: str, clips: list[np.ndarray]) -> torch.Tensor:
    inputs = map(torch.from_numpy, pad(clips))
    return ClipPreparation(config, LAYOUTS[layout])(PaddedClips.of(*inputs))


def read(config: DataConfig, layout: str, clips: list[np.ndarray]) -> torch.Tensor:
    reader = BatchReader(clip_set(layout, clips), config, torch.device("cpu"))
    return reader.view(torch.arange(len(clips))).joints_nctvm


@pytest.mark.parametrize(
    ("layout", "align"),
    [
        ("kinect_v1_20", ""),
        ("kinect_v1_20", "shoulders"),
        ("kinect_v1_20", "torso"),
        ("coco_17", ""),
    ],
)
@pytest.mark.parametrize("size", [False, True])
@pytest.mark.parametrize("axes", ["", "read", "clip"])
@pytest.mark.parametrize("spaced", ["clock", "motion", "whole"])
def test_ragged_clips_are_prepared_as_in_training(
    layout: str, align: str, size: bool, axes: str, spaced: str, seed: int
) -> None:
    config = DataConfig(
        frames=16,
        align=bool(align),
        align_by=align or "shoulders",  # type: ignore[arg-type]
        normalise_size=size,
        normalise_axes=bool(axes),
        axes_extent=axes or "read",  # type: ignore[arg-type]
        whole_frames=spaced == "whole",
        motion_share=0.6 if spaced == "motion" else 0.0,
    )
    random = np.random.default_rng(seed)
    clips = [make_clip(LAYOUTS[layout], *shape, random) for shape in SHAPES]
    found, expected = prepared(config, layout, clips), read(config, layout, clips)
    for number, (bodies, _) in enumerate(SHAPES):
        np.testing.assert_allclose(
            found[number, ..., :bodies],
            expected[number, ..., :bodies],
            rtol=0,
            atol=1e-5 * float(expected.abs().max()),
        )


def test_the_centre_is_that_of_the_first_frame_that_shows_the_first_body(seed: int) -> None:
    layout = LAYOUTS["kinect_v1_20"]
    clip = make_clip(layout, 2, 9, np.random.default_rng(seed))
    assert not clip[0, :3].any() and clip[0, 3].all()
    joints = prepared(DataConfig(frames=9, motion_share=0), layout.name, [clip])
    np.testing.assert_array_equal(joints[0, :, 3, layout.centre, 0], 0)
    np.testing.assert_allclose(
        joints[0, :, 0, :, 0].T, np.tile(-clip[0, 3, layout.centre], (20, 1))
    )


def test_a_body_whose_joints_are_in_one_point_keeps_its_size() -> None:
    clip = np.ones((1, 4, 20, 3), np.float32)
    joints = prepared(DataConfig(frames=4, normalise_size=True), "kinect_v1_20", [clip])
    np.testing.assert_array_equal(joints, 0)


def test_padding_may_hold_anything(seed: int) -> None:
    config = DataConfig(
        frames=8,
        align=True,
        align_by="torso",
        normalise_size=True,
        normalise_axes=True,
        axes_extent="clip",
    )
    layout, random = LAYOUTS["kinect_v1_20"], np.random.default_rng(seed)
    clips = [make_clip(layout, 1, 5, random), make_clip(layout, 2, 12, random)]
    joints, frames, bodies = (torch.from_numpy(each) for each in pad(clips))
    preparation = ClipPreparation(config, layout)
    expected = preparation(PaddedClips.of(joints, frames, bodies))
    assert joints.isnan().any() and not expected.isnan().any()
    for value in (0.0, 1e30, torch.inf):
        other = joints.nan_to_num(nan=value, posinf=torch.inf)
        torch.testing.assert_close(
            preparation(PaddedClips.of(other, frames, bodies)), expected, rtol=0, atol=0
        )
