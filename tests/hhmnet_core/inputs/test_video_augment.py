"""Video augmentation: joints move with their pixels."""

import pytest
import torch

from hhmnet_core.errors import InputError
from hhmnet_core.inputs.video_augment import VideoAugmentConfig, draw_video_change
from hhmnet_core.randomness import BatchRandom
from hhmnet_core.skeleton.layouts import get_layout

LAYOUT = get_layout("kinect_v1_20")
SIZE = 96


def random(clips: int = 6, start: int = 0, stop: int | None = None) -> BatchRandom:
    return BatchRandom(1, "a", total=clips, start=start, stop=stop)


def spots(clips: int = 6, frames: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images with a bright spot at the left hand, the only known joint."""
    torch.manual_seed(0)
    hand = LAYOUT.joint("left_hand")
    joints = torch.full((clips, 1, frames, 20, 2), torch.nan)
    joints[:, :, :, hand] = 0.35 + 0.3 * torch.rand(clips, 1, frames, 2)
    images = torch.zeros(clips, frames, 3, SIZE, SIZE, dtype=torch.uint8)
    for n in range(clips):
        for f in range(frames):
            x, y = (SIZE * joints[n, 0, f, hand]).round().int().tolist()
            joints[n, 0, f, hand] = torch.tensor([x, y]) / SIZE
            images[n, f, :, y - 4 : y + 4, x - 4 : x + 4] = 255
    return images, joints


def test_zero_strengths_change_nothing() -> None:
    images, joints = spots()
    config = VideoAugmentConfig(0, 0, 0, 0, 0)
    change = draw_video_change(config, LAYOUT, random())
    augmented = change.apply(images, joints)
    torch.testing.assert_close(augmented.images_nfchw, images / 255, atol=1e-5, rtol=0)
    torch.testing.assert_close(augmented.joints_nmfv2, joints, equal_nan=True, atol=1e-6, rtol=0)
    assert not change.mirrored_n.any()


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_joints_move_with_their_pixels(mirror: float) -> None:
    images, joints = spots()
    config = VideoAugmentConfig(zoom=0.3, move=0.1, turn=30, brightness=0.3, mirror=mirror)
    change = draw_video_change(config, LAYOUT, random())
    augmented = change.apply(images, joints)
    joint = LAYOUT.joint("right_hand" if mirror else "left_hand")
    assert change.mirrored_n.all() == bool(mirror)
    grid = (torch.arange(SIZE) + 0.5) / SIZE
    for n in range(6):
        for f in range(2):
            bright = augmented.images_nfchw[n, f].mean(0)
            middle = torch.stack([(bright.sum(0) * grid).sum(), (bright.sum(1) * grid).sum()])
            position = augmented.joints_nmfv2[n, 0, f, joint]
            assert (middle / bright.sum() - position).abs().max() * SIZE < 0.6
    others = augmented.joints_nmfv2.isnan().all(-1).sum(-1)
    assert (others == 19).all()
    assert not torch.allclose(augmented.images_nfchw, images / 255, atol=0.1)


def test_clips_of_a_share_are_drawn_as_in_the_whole_batch() -> None:
    images, joints = spots()
    config = VideoAugmentConfig(mirror=0.5)
    whole = draw_video_change(config, LAYOUT, random())
    share = draw_video_change(config, LAYOUT, random(start=2, stop=4))
    all_images = whole.apply(images, joints).images_nfchw
    torch.testing.assert_close(all_images[2:4], share.apply(images[2:4], joints[2:4]).images_nfchw)
    assert torch.equal(whole.mirrored_n[2:4], share.mirrored_n)
    assert 0 < whole.mirrored_n.sum() < 6


@pytest.mark.parametrize("bad", [{"zoom": 1.0}, {"mirror": 1.5}, {"turn": -1.0}])
def test_bad_strength_is_named(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=rf"augment\.{next(iter(bad))} must be 0 to"):
        VideoAugmentConfig(**bad)
