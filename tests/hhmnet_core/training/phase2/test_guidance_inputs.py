"""Heat maps, masks and part features of batches under every mode of guidance and parts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from hhmnet_core.inputs.footage import Footage
from hhmnet_core.inputs.video_augment import VideoAugmentConfig
from hhmnet_core.models.heat_maps import heat_map, importance_at_images, joint_gaussians
from hhmnet_core.models.joint_importance import ClipGuidance
from hhmnet_core.skeleton.layouts import PARTS
from hhmnet_core.store.clips import ClipSet
from hhmnet_core.training.phase2.config import GuidanceConfig, PartsConfig, Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder
from hhmnet_core.training.phase2.guidance_inputs import GuidanceInputs, visible_parts

CPU = torch.device("cpu")
GRID = (2, 8, 8)
BATCH = torch.tensor([3, 0, 10])  # clip 3 and clip 1 have two bodies, clips 0 and 10 one
MakeInputs = Callable[..., GuidanceInputs]


@pytest.fixture
def make_inputs(
    clips: ClipSet, footage: Footage, guide: FrozenEncoder, small: Phase2Config
) -> MakeInputs:
    def make(mode: str = "learned", parts: str = "parts", **changes: object) -> GuidanceInputs:
        config = replace(
            small, guidance=GuidanceConfig(mode=mode), parts=PartsConfig(mode=parts), **changes
        )
        return GuidanceInputs(config, clips, footage, guide, CPU)

    return make


@pytest.fixture
def expected_heat(
    clips: ClipSet, footage: Footage
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The heat map of clips under an importance (N, M, T, V) over the whole clips."""

    def heat(importance_nmtv: torch.Tensor, clips_n: torch.Tensor) -> torch.Tensor:
        positions = torch.tensor(footage.positions_nf)[clips_n]
        lengths = torch.tensor(clips.num_frames)[clips_n]
        at_images = importance_at_images(importance_nmtv, positions, lengths)
        joints = torch.tensor(footage.joints_nmfv2)[clips_n]
        return heat_map(at_images, joint_gaussians(joints, GRID))

    return heat


def heat_of(inputs: GuidanceInputs, footage: Footage, **more: torch.Tensor) -> torch.Tensor:
    importance = inputs.importance(BATCH, **more)
    assert importance is not None
    return heat_map(importance, joint_gaussians(torch.tensor(footage.joints_nmfv2)[BATCH], GRID))


def test_learned_heat_follows_the_importance_of_the_joints(
    make_inputs: MakeInputs, guide: FrozenEncoder, footage: Footage, expected_heat: Callable
) -> None:
    importance = guide.guidance(BATCH).importance_nmtv
    heat = heat_of(make_inputs("learned"), footage)
    torch.testing.assert_close(heat, expected_heat(importance, BATCH), rtol=1e-2, atol=1e-3)


def test_uniform_heat_counts_all_joints_of_present_bodies_alike(
    make_inputs: MakeInputs, guide: FrozenEncoder, footage: Footage, expected_heat: Callable
) -> None:
    present = torch.zeros_like(guide.guidance(BATCH).importance_nmtv)
    present[:, 0] = 1
    present[0, 1] = 1
    heat = heat_of(make_inputs("uniform"), footage)
    torch.testing.assert_close(heat, expected_heat(present, BATCH))


def test_random_heat_depends_on_the_seed_and_the_clip_alone(
    make_inputs: MakeInputs, footage: Footage
) -> None:
    heat = heat_of(make_inputs("random"), footage)
    assert torch.equal(heat, heat_of(make_inputs("random"), footage))
    assert not torch.allclose(heat, heat_of(make_inputs("random", seed=2), footage))
    assert not torch.allclose(heat, heat_of(make_inputs("uniform"), footage))


def test_without_guidance_no_joint_has_an_importance(make_inputs: MakeInputs) -> None:
    assert make_inputs("off").importance(BATCH) is None


def test_mirrored_clips_have_the_guidance_of_their_mirror_image(
    make_inputs: MakeInputs, guide: FrozenEncoder, footage: Footage
) -> None:
    mirrored_n = torch.tensor([True, False, True])
    inputs = make_inputs()
    plain, mirrored = guide.guidance(BATCH), guide.guidance(BATCH, mirrored=True)
    tokens = inputs.tokens(BATCH, mirrored_n)
    for row, source in enumerate((mirrored, plain, mirrored)):
        torch.testing.assert_close(tokens[row], source.parts_npc[row], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(tokens[0], plain.parts_npc[0])
    heat = heat_of(inputs, footage, mirrored_n=mirrored_n)
    assert torch.equal(heat[1], heat_of(inputs, footage)[1])
    assert not torch.allclose(heat[0], heat_of(inputs, footage)[0])


class CountingGuide:
    """A guide that counts what it is asked for."""

    def __init__(self, guide: FrozenEncoder) -> None:
        self.guide, self.calls = guide, list[tuple[list[int], bool]]()

    def guidance(self, clips_n: torch.Tensor, mirrored: bool = False) -> ClipGuidance:
        self.calls.append((clips_n.tolist(), mirrored))
        return self.guide.guidance(clips_n, mirrored)


@pytest.mark.parametrize(("probability", "calls"), [(0.0, [False]), (0.5, [False, True])])
def test_the_encoder_sees_filmed_clips_once_and_mirrored_only_where_needed(
    probability: float,
    calls: list[bool],
    clips: ClipSet,
    footage: Footage,
    guide: FrozenEncoder,
    small: Phase2Config,
) -> None:
    counting = CountingGuide(guide)
    config = replace(small, augment=VideoAugmentConfig(mirror=probability))
    inputs = GuidanceInputs(config, clips, footage, counting, CPU)  # type: ignore[arg-type]
    filmed = np.flatnonzero(footage.has_video_n).tolist()
    assert counting.calls == [(filmed, mirrored) for mirrored in calls]
    unfilmed = torch.tensor([8])
    assert not inputs.tokens(unfilmed).any()
    assert inputs.width == guide.guidance(unfilmed).parts_npc.shape[-1]


def test_masks_and_tokens_follow_the_parts(make_inputs: MakeInputs, footage: Footage) -> None:
    gaussians = joint_gaussians(torch.tensor(footage.joints_nmfv2)[BATCH], GRID)
    by_part, as_one = make_inputs(parts="parts"), make_inputs(parts="body")
    masks, body = by_part.masks(gaussians), as_one.masks(gaussians)
    assert masks is not None and body is not None
    assert masks.shape == (3, len(PARTS), *GRID) and body.shape == (3, 1, *GRID)
    torch.testing.assert_close(body[:, 0], masks.amax(1))
    tokens = by_part.tokens(BATCH)
    assert tokens.shape == (3, len(PARTS), by_part.width)
    torch.testing.assert_close(as_one.tokens(BATCH)[:, 0], tokens.mean(1))


def test_without_part_contrast_there_are_no_masks(
    make_inputs: MakeInputs, footage: Footage, small: Phase2Config
) -> None:
    gaussians = joint_gaussians(torch.tensor(footage.joints_nmfv2)[BATCH], GRID)
    assert make_inputs(parts="off").masks(gaussians) is None
    without = make_inputs()
    without.config = replace(small, parts=PartsConfig(weight=0))
    assert without.masks(gaussians) is None


def test_tokens_have_the_precision_of_the_training(
    make_inputs: MakeInputs, small: Phase2Config
) -> None:
    inputs = make_inputs(optim=replace(small.optim, precision="float64"))
    assert inputs.tokens(BATCH).dtype == torch.float64


def test_parts_are_visible_in_the_image_and_of_the_layout() -> None:
    masks = torch.zeros(1, 4, *GRID)
    masks[0, 0, 0, 0, 0], masks[0, 1, 0, 0, 0], masks[0, 2, 0, 0, 0] = 2e-3, 5e-4, 2e-3
    tokens = torch.zeros(1, 4, 5)
    tokens[0, [0, 1, 3], 2] = 1
    assert visible_parts(masks, tokens).tolist() == [[True, False, False, False]]
