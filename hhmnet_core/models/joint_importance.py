"""What a frozen skeleton encoder tells the video network: which joints matter when, and how.

Importance of a joint at a time is how much the encoder's decision hangs on where the joint is then:
the gradient of its logits with respect to the joint, times the joint's way from its mean place in
the clip (gradient times input, Shrikumar et al., ICML 2017, with the clip's mean pose as baseline).
The gradient comes back through the encoder's features and attention, to the joint that moved: the
features themselves, behind five layers of attention, know of it at every joint. Logits count as
likely as the encoder finds their classes, without a label. Unlike MMNet's weights (feature norms,
one a part and clip, scaled over the batch) there is one a joint, frame and body, and it depends on
the clip alone.

Shapes: N clips, R clip bodies, M bodies, T frames, V joints, C channels, F images, T'' frames of
the video grid of H' x W', P parts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from hhmnet_core.models.encoder import Encoder
from hhmnet_core.skeleton.layouts import PARTS, Layout

# Standard deviation of a joint on the grid, in shares of the image: a hand in a crop of a person.
SPREAD = 0.07


@dataclass(frozen=True)
class Insight:
    """What the encoder says of clips.

    Attributes:
        importance_nmtv: (N, M, T, V) at least 0, of mean 1 over the bodies that are present; of
            absent ones 0.
        parts_npc: (N, P, C) the mean feature of each part; zero where the layout has no such part.
    """

    importance_nmtv: Tensor
    parts_npc: Tensor


def look(encoder: Encoder, x_nctvm: Tensor, body_rows: Tensor) -> Insight:
    """What a frozen encoder says of clips (N, C, T, V, M) of its modality.

    Args:
        encoder: In evaluation mode.
        x_nctvm: The clips.
        body_rows: (R,) the bodies that are present, as indices into N * M.
    """
    clips, _, _, _, bodies = x_nctvm.shape
    clip_r = body_rows // bodies
    x_rtvc = x_nctvm.permute(0, 4, 2, 3, 1).flatten(0, 1)[body_rows]
    present_n = torch.bincount(clip_r, minlength=clips).to(x_rtvc.dtype)

    def mean_of_bodies(values_r: Tensor) -> Tensor:
        sums = values_r.new_zeros(clips, *values_r.shape[1:]).index_add(0, clip_r, values_r)
        return sums / present_n.view(-1, *[1] * (values_r.dim() - 1))

    with torch.enable_grad():
        given_rtvc = ((x_rtvc - encoder.input_mean) / encoder.input_std).detach().requires_grad_()
        features_rtvc = encoder.forward_features(given_rtvc, None)
        logits_nk = encoder.classifier(mean_of_bodies(features_rtvc.mean((1, 2))))
        likely_nk = logits_nk.detach().softmax(1)
        # Against the mean class: what is the same for all classes decides nothing.
        decision = (likely_nk * (logits_nk - logits_nk.mean(1, keepdim=True))).sum()
        (slope_rtvc,) = torch.autograd.grad(decision, given_rtvc)
    given_rtvc, features_rtvc = given_rtvc.detach(), features_rtvc.detach()
    way_rtvc = given_rtvc - given_rtvc.mean(1, keepdim=True)
    weight_rtv = (slope_rtvc * way_rtvc).norm(dim=-1)
    mean_r11 = mean_of_bodies(weight_rtv.mean((1, 2)))[clip_r][:, None, None]
    # A clip in which nothing moves: all joints alike.
    importance_rtv = torch.where(mean_r11 > 0, weight_rtv / mean_r11.clamp_min(1e-30), 1.0)
    flat = importance_rtv.new_zeros(clips * bodies, *importance_rtv.shape[1:])
    importance = flat.index_copy(0, body_rows, importance_rtv).unflatten(0, (clips, bodies))
    parts = []
    for part in PARTS:
        joints = list(encoder.layout.parts[part])
        token_rc = torch.zeros_like(features_rtvc[:, 0, 0])
        parts.append(
            mean_of_bodies(features_rtvc[:, :, joints].mean((1, 2)) if joints else token_rc)
        )
    return Insight(importance, torch.stack(parts, 1))


def at_images(importance_nmtv: Tensor, positions_nf: Tensor, num_frames_n: Tensor) -> Tensor:
    """The importance at the images' frames: (N, M, T, V) -> (N, M, F, V).

    Args:
        importance_nmtv: Over the whole clips, T equal parts of each.
        positions_nf: (N, F) the frames that the images show.
        num_frames_n: (N,) frames of each clip.
    """
    steps = importance_nmtv.shape[2]
    part_nf = (positions_nf + 0.5) / num_frames_n[:, None]
    step_nf = (part_nf * steps).long().clamp(0, steps - 1)
    clips_n = torch.arange(len(step_nf), device=step_nf.device)
    at_nfmv = importance_nmtv[clips_n[:, None], :, step_nf]
    return at_nfmv.transpose(1, 2)


def gaussians(joints_nmfv2: Tensor, grid: tuple[int, int, int], spread: float = SPREAD) -> Tensor:
    """Each joint's place on the grid as a Gaussian of height 1: (N, M, T'', V, H', W').

    Args:
        joints_nmfv2: (N, M, F, V, 2) in shares of the image, x to the right and y down; NaN where
            unknown. Joints outside of the image leave what of their Gaussian reaches into it.
        grid: (T'', H', W'); F is a multiple of T'', neighbouring images are averaged.
        spread: Standard deviation, in shares of the image.
    """
    frames, height, width = grid
    x_w, y_h = (
        (torch.arange(cells, device=joints_nmfv2.device) + 0.5) / cells for cells in (width, height)
    )
    unknown = joints_nmfv2.isnan().any(-1)[..., None]
    place = joints_nmfv2.nan_to_num()
    across = torch.exp(-((x_w - place[..., :1]) ** 2) / (2 * spread**2)).masked_fill(unknown, 0)
    down = torch.exp(-((y_h - place[..., 1:]) ** 2) / (2 * spread**2))
    spots = down[..., :, None] * across[..., None, :]
    averaged: Tensor = spots.unflatten(2, (frames, -1)).mean(3)
    return averaged


def heat_map(importance_nmfv: Tensor, spots_nmtvhw: Tensor) -> Tensor:
    """Where the video network should look: (N, T'', H', W'), of mean 1 in each clip.

    A place takes the strongest of the joints there: a sum would make hips, where four of them lie
    close together, important by their number.

    Args:
        importance_nmfv: (N, M, F, V) of each joint at each image.
        spots_nmtvhw: Their Gaussians, (N, M, T'', V, H', W').
    """
    frames = spots_nmtvhw.shape[2]
    weight_nmtv = importance_nmfv.unflatten(2, (frames, -1)).mean(3)
    heat_nthw = (weight_nmtv[..., None, None] * spots_nmtvhw).amax((1, 3))
    mean_n = heat_nthw.mean((1, 2, 3), keepdim=True)
    scaled_nthw = heat_nthw / mean_n.clamp_min(1e-12)
    return torch.where(mean_n > 0, scaled_nthw, torch.ones_like(heat_nthw))


def part_masks(spots_nmtvhw: Tensor, layout: Layout) -> Tensor:
    """Where each part is: (N, P, T'', H', W'), the strongest of its joints' Gaussians."""
    nothing = torch.zeros_like(spots_nmtvhw[:, 0, :, 0])
    masks = []
    for part in PARTS:
        joints = list(layout.parts[part])
        masks.append(spots_nmtvhw[:, :, :, joints].amax((1, 3)) if joints else nothing)
    return torch.stack(masks, 1)
