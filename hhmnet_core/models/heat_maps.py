"""Heat maps and body-part masks on the feature grid of the video network.

Each joint is a Gaussian at its position in the image. A heat map combines them by the joints'
importance, a mask by body part.

Shapes: N clips, M bodies, T frames of the skeleton, F images, V joints, P body parts; the feature
grid has T' frames of H' x W' cells.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hhmnet_core.skeleton.layouts import PARTS, Layout

# Standard deviation of a joint's Gaussian, as a share of the image: a hand in a crop of a person.
DEFAULT_SPREAD = 0.07


def importance_at_images(
    importance_nmtv: Tensor, positions_nf: Tensor, num_frames_n: Tensor
) -> Tensor:
    """Return the importance of joints at the frames of the images: (N, M, T, V) -> (N, M, F, V).

    Args:
        importance_nmtv: (N, M, T, V) importance in T equally long sections of each clip.
        positions_nf: (N, F) frames that the images show.
        num_frames_n: (N,) number of frames of each clip.
    """
    sections = importance_nmtv.shape[2]
    progress_nf = (positions_nf + 0.5) / num_frames_n[:, None]
    section_nf = (progress_nf * sections).long().clamp(0, sections - 1)
    clips_n = torch.arange(len(section_nf), device=section_nf.device)
    importance_nfmv = importance_nmtv[clips_n[:, None], :, section_nf]
    return importance_nfmv.transpose(1, 2)


def joint_gaussians(
    joints_nmfv2: Tensor, grid: tuple[int, int, int], spread: float = DEFAULT_SPREAD
) -> Tensor:
    """Return each joint as a Gaussian of height 1 on the grid, (N, M, T', V, H', W').

    Args:
        joints_nmfv2: (N, M, F, V, 2) positions as shares of the image, x to the right and y down;
            NaN where unknown. Of a joint outside the image, the part of its Gaussian that reaches
            into the image counts.
        grid: (T', H', W'). F is a multiple of T'; the Gaussians of neighbouring images are
            averaged.
        spread: Standard deviation, as a share of the image.
    """
    frames, height, width = grid
    x_w, y_h = (
        (torch.arange(cells, device=joints_nmfv2.device) + 0.5) / cells for cells in (width, height)
    )
    unknown = joints_nmfv2.isnan().any(-1)[..., None]
    known_nmfv2 = joints_nmfv2.nan_to_num()
    across = torch.exp(-((x_w - known_nmfv2[..., :1]) ** 2) / (2 * spread**2))
    across = across.masked_fill(unknown, 0)
    down = torch.exp(-((y_h - known_nmfv2[..., 1:]) ** 2) / (2 * spread**2))
    gaussians_nmfvhw = down[..., :, None] * across[..., None, :]
    averaged: Tensor = gaussians_nmfvhw.unflatten(2, (frames, -1)).mean(3)
    return averaged


def heat_map(importance_nmfv: Tensor, gaussians_nmtvhw: Tensor) -> Tensor:
    """Return where the important joints are, (N, T', H', W'), with mean 1 in each clip.

    A cell takes the highest weighted Gaussian. Their sum would be highest at the hips, only because
    several joints are close together there.

    Args:
        importance_nmfv: (N, M, F, V) importance of each joint at each image.
        gaussians_nmtvhw: (N, M, T', V, H', W'), see `joint_gaussians`.
    """
    frames = gaussians_nmtvhw.shape[2]
    weight_nmtv = importance_nmfv.unflatten(2, (frames, -1)).mean(3)
    heat_nthw = (weight_nmtv[..., None, None] * gaussians_nmtvhw).amax((1, 3))
    mean_n = heat_nthw.mean((1, 2, 3), keepdim=True)
    scaled_nthw = heat_nthw / mean_n.clamp_min(1e-12)
    return torch.where(mean_n > 0, scaled_nthw, torch.ones_like(heat_nthw))


def part_joints(layout: Layout, device: torch.device) -> tuple[Tensor, ...]:
    """Return the indices of each part's joints, on a device."""
    return tuple(
        torch.tensor(layout.parts[part], dtype=torch.long, device=device) for part in PARTS
    )


def part_masks(gaussians_nmtvhw: Tensor, joints_of_parts: Sequence[Tensor]) -> Tensor:
    """Return where each body part is, (N, P, T', H', W'): the highest Gaussian of its joints.

    The mask of a part that the layout lacks is 0.

    Args:
        gaussians_nmtvhw: (N, M, T', V, H', W'), see `joint_gaussians`.
        joints_of_parts: Joints of each part, see `part_joints`.
    """
    empty_nthw = torch.zeros_like(gaussians_nmtvhw[:, 0, :, 0])
    masks = [
        gaussians_nmtvhw.index_select(3, joints).amax((1, 3)) if len(joints) else empty_nthw
        for joints in joints_of_parts
    ]
    return torch.stack(masks, 1)
