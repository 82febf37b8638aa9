"""The four skeletal modalities, derived from joints on the device, batch by batch.

Definitions follow 2s-AGCN (Shi et al., CVPR 2019) and CTR-GCN (Chen et al., ICCV 2021): a bone is
child minus parent (zero at the centre), motion is the next frame minus this one (zero at the last
frame).
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


def motion(x_nctvm: Tensor) -> Tensor:
    """Return each next frame minus this one: (N, C, T, V, M) -> (N, C, T, V, M)."""
    steps = torch.zeros_like(x_nctvm)
    steps[:, :, :-1] = x_nctvm[:, :, 1:] - x_nctvm[:, :, :-1]
    return steps


def derive(joints_nctvm: Tensor, modality: str, layout: Layout) -> Tensor:
    """Derive a modality from a batch of joints: (N, C, T, V, M) -> (N, C, T, V, M).

    Raises:
        InputError: An unknown modality, or V or C differ from the layout's.
    """
    if modality not in MODALITIES:
        raise InputError(f"Unknown modality {modality!r}; known are {', '.join(MODALITIES)}.")
    layout.check(joints_nctvm.shape[3], joints_nctvm.shape[1], "The batch")
    x_nctvm = bones(joints_nctvm, layout) if modality.startswith("bone") else joints_nctvm
    return motion(x_nctvm) if modality.endswith("motion") else x_nctvm
