"""The four skeletal modalities, derived from joints on the device, batch by batch.

Definitions follow 2s-AGCN (Shi et al., CVPR 2019) and CTR-GCN (Chen et al., ICCV 2021): a bone is
child minus parent (zero at the centre), motion is the next frame minus this one (zero at the last
frame). Motion may span more frames: sensor noise is as large between neighbours as between frames
that are farther apart, while the movement grows.
"""

import torch
from torch import Tensor, nn

from hhmnet_core.errors import InputError
from hhmnet_core.skeleton.layouts import Layout

MODALITIES: tuple[str, ...] = ("joint", "bone", "joint_motion", "bone_motion")


class Derivation(nn.Module):
    """Derives modalities from batches of joints.

    Args:
        layout: The joints' layout.
        motion_step: Number of frames that motion spans.
    """

    parents_v: Tensor

    def __init__(self, layout: Layout, motion_step: int = 1) -> None:
        super().__init__()
        self.layout, self.motion_step = layout, motion_step
        self.register_buffer("parents_v", torch.tensor(layout.parents), persistent=False)

    def forward(self, joints_nctvm: Tensor, modality: str) -> Tensor:
        """Return a modality of clips: (N, C, T, V, M) -> (N, C, T, V, M).

        Raises InputError for an unknown modality, or where V or C differ from the layout's.
        """
        if modality not in MODALITIES:
            raise InputError(f"Unknown modality {modality!r}; known are {', '.join(MODALITIES)}.")
        self.layout.check(joints_nctvm.shape[3], joints_nctvm.shape[1], "The batch")
        x_nctvm = self.bones(joints_nctvm) if modality.startswith("bone") else joints_nctvm
        return self.motion(x_nctvm) if modality.endswith("motion") else x_nctvm

    def bones(self, joints_nctvm: Tensor) -> Tensor:
        """Return each joint minus its parent: (N, C, T, V, M) -> (N, C, T, V, M)."""
        return joints_nctvm - joints_nctvm.index_select(3, self.parents_v)

    def motion(self, x_nctvm: Tensor) -> Tensor:
        """Return the frame `motion_step` frames later, at most the last one, minus each frame.

        (N, C, T, V, M) -> (N, C, T, V, M).
        """
        step = min(self.motion_step, x_nctvm.shape[2])
        last = x_nctvm[:, :, -1:].expand(-1, -1, step, -1, -1)
        return torch.cat([x_nctvm[:, :, step:], last], 2) - x_nctvm
