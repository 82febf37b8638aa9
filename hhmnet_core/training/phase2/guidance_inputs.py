"""Inputs of the video network that come from the skeleton: importance of joints, masks of parts.

The frozen encoder sees each clip with a video once, and once mirrored where augmentation mirrors.

Shapes: N clips, M bodies, F images, V joints, T' x H' x W' the video grid, P parts, C channels.
"""

import numpy as np
import torch
from torch import Tensor

from hhmnet_core.inputs.footage import Footage
from hhmnet_core.models.heat_maps import importance_at_images, part_joints, part_masks
from hhmnet_core.models.joint_importance import ClipGuidance
from hhmnet_core.randomness import keyed_generator
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder

VISIBLE = 1e-3  # smallest sum of the mask of a visible part


class GuidanceInputs:
    """Importance of joints, masks and features of parts of batches, as configured.

    Args:
        config: Config of phase 2.
        clips: Clips of the store.
        footage: Videos of the clips.
        guide: Frozen encoder.
        device: Device of the masks.
    """

    def __init__(
        self,
        config: Phase2Config,
        clips: ClipSet,
        footage: Footage,
        guide: FrozenEncoder,
        device: torch.device,
    ) -> None:
        self.config = config
        self._joints_of_parts = part_joints(clips.manifest.skeleton, device)
        self._num_frames = torch.from_numpy(clips.num_frames.copy())
        self._positions = torch.from_numpy(footage.positions_nf.copy())
        (filmed,) = np.nonzero(footage.has_video_n)
        self._plain = self._guidance_of_all(guide, len(clips), filmed, mirrored=False)
        self._mirrored = (
            self._guidance_of_all(guide, len(clips), filmed, mirrored=True)
            if config.augment.mirror
            else self._plain
        )

    @property
    def width(self) -> int:
        """C, number of channels of the part features."""
        return self._plain.parts_npc.shape[-1]

    def importance(self, clips_n: Tensor, mirrored_n: Tensor | None = None) -> Tensor | None:
        """Return the importance (N, M, F, V) of joints at each image, on the host.

        None where guidance is off.

        Args:
            clips_n: (N,) indices of the clips.
            mirrored_n: (N,) bool, which of them are mirrored. None: none.
        """
        if self.config.guidance.mode == "off":
            return None
        importance = _select(
            self._plain.importance_nmtv, self._mirrored.importance_nmtv, clips_n, mirrored_n
        )
        return importance_at_images(importance, self._positions[clips_n], self._num_frames[clips_n])

    def masks(self, gaussians_nmtvhw: Tensor) -> Tensor | None:
        """Return (N, P, T', H', W'), where each contrasted part is; None without part contrast.

        P is 1 where the whole body is contrasted as one.
        """
        if not self.config.parts.weight or self.config.parts.mode == "off":
            return None
        masks = part_masks(gaussians_nmtvhw, self._joints_of_parts)
        return masks if self.config.parts.mode == "parts" else masks.amax(1, keepdim=True)

    def tokens(self, clips_n: Tensor, mirrored_n: Tensor | None = None) -> Tensor:
        """Return (N, P, C), the skeleton's features of the parts of `masks`, on the host."""
        tokens = _select(self._plain.parts_npc, self._mirrored.parts_npc, clips_n, mirrored_n)
        if self.config.parts.mode == "body":
            tokens = tokens.mean(1, keepdim=True)
        return tokens.to(self.config.optim.dtype)

    def _guidance_of_all(
        self, guide: FrozenEncoder, num_clips: int, filmed: Int64Array, mirrored: bool
    ) -> ClipGuidance:
        """Return the guidance of all clips, as configured; zero for clips without a video."""
        guidance = guide.guidance(torch.from_numpy(filmed), mirrored)
        importance, parts = guidance.importance_nmtv, guidance.parts_npc
        present = importance.amax((2, 3), keepdim=True) > 0
        if self.config.guidance.mode == "uniform":
            importance = present.expand_as(importance).float()
        elif self.config.guidance.mode == "random":
            importance = self._random_importance(filmed, importance.shape[1:]) * present
        all_importance = torch.zeros(num_clips, *importance.shape[1:])
        all_parts = torch.zeros(num_clips, *parts.shape[1:])
        all_importance[filmed], all_parts[filmed] = importance, parts
        return ClipGuidance(all_importance, all_parts)

    def _random_importance(self, clips: Int64Array, shape: torch.Size) -> Tensor:
        seed = self.config.seed
        drawn = [
            torch.rand(shape, generator=keyed_generator(seed, "guidance", int(clip)))
            for clip in clips
        ]
        return torch.stack(drawn)


def _select(plain: Tensor, mirrored: Tensor, clips_n: Tensor, mirrored_n: Tensor | None) -> Tensor:
    """Return the rows of clips, from `mirrored` where a clip is mirrored."""
    rows = plain[clips_n]
    if mirrored_n is None or mirrored is plain:
        return rows
    return torch.where(mirrored_n.view(-1, *[1] * (rows.dim() - 1)), mirrored[clips_n], rows)


def visible_parts(masks_npthw: Tensor, tokens_npc: Tensor) -> Tensor:
    """Return (N, P) bool: which parts are in the image and exist in the layout."""
    return (masks_npthw.sum((2, 3, 4)) > VISIBLE) & tokens_npc.any(-1)
