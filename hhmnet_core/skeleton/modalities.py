"""The four skeletal modalities, derived from joints on the device, batch by batch.

Definitions follow 2s-AGCN (Shi et al., CVPR 2019) and CTR-GCN (Chen et al., ICCV 2021): a bone is
child minus parent (zero at the centre), motion is the next frame minus this one (zero at the last
frame). Motion may span more frames: sensor noise is as large between neighbours as between frames
that are farther apart, while the movement grows.
"""

import torch
from torch import Tensor

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import Layout

MODALITIES: tuple[str, ...] = ("joint", "bone", "joint_motion", "bone_motion")


def bones(joints_nctvm: Tensor, layout: Layout) -> Tensor:
    """Return each joint minus its parent: (N, C, T, V, M) -> (N, C, T, V, M)."""
    parents = torch.tensor(layout.parents, device=joints_nctvm.device)
    return joints_nctvm - joints_nctvm.index_select(3, parents)


def motion(x_nctvm: Tensor, step: int = 1) -> Tensor:
    """Return the frame `step` frames later, at most the last one, minus each frame.

    (N, C, T, V, M) -> (N, C, T, V, M).
    """
    frames = x_nctvm.shape[2]
    ahead_t = torch.arange(step, frames + step, device=x_nctvm.device).clamp(max=frames - 1)
    return x_nctvm.index_select(2, ahead_t) - x_nctvm


def derive(joints_nctvm: Tensor, modality: str, layout: Layout, motion_step: int = 1) -> Tensor:
    """Derive a modality from a batch of joints: (N, C, T, V, M) -> (N, C, T, V, M).

    Args:
        joints_nctvm: (N, C, T, V, M) joints.
        modality: Name of the modality.
        layout: The joints' layout.
        motion_step: Number of frames that motion spans.

    Raises:
        InputError: An unknown modality, or V or C differ from the layout's.
    """
    if modality not in MODALITIES:
        raise InputError(f"Unknown modality {modality!r}; known are {', '.join(MODALITIES)}.")
    layout.check(joints_nctvm.shape[3], joints_nctvm.shape[1], "The batch")
    x_nctvm = bones(joints_nctvm, layout) if modality.startswith("bone") else joints_nctvm
    return motion(x_nctvm, motion_step) if modality.endswith("motion") else x_nctvm
