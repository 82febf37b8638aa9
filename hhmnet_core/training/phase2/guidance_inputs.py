"""What the skeleton gives the video network of phase 2 for a batch: heat maps, parts, their masks.

The frozen encoder is asked once of every clip that has a video; clips that augmentation mirrors
take what it said of them mirrored.

Shapes: N clips, M bodies, F images, V joints, T' x H' x W' the video grid, P parts, C channels.
"""

import numpy as np
import torch
from torch import Tensor

from hhmnet_core.inputs.footage import Footage
from hhmnet_core.models.joint_importance import Insight, at_images, gaussians, heat_map, part_masks
from hhmnet_core.randomness import keyed_generator
from hhmnet_core.store.clips import ClipSet, Int64Array
from hhmnet_core.training.phase2.config import Phase2Config
from hhmnet_core.training.phase2.frozen_encoder import FrozenEncoder

VISIBLE = 1e-3  # of a part's mask, summed


class GuidanceInputs:
    """The skeleton's side of phase 2, as configured.

    Args:
        config: Of the run.
        clips: The clip set.
        footage: Its videos.
        guide: The frozen encoder.
        device: Where heat maps and masks are wanted.
    """

    def __init__(
        self,
        config: Phase2Config,
        clips: ClipSet,
        footage: Footage,
        guide: FrozenEncoder,
        device: torch.device,
    ) -> None:
        self.config, self.device, self.layout = config, device, clips.manifest.skeleton
        self._num_frames = torch.from_numpy(clips.num_frames.copy())
        self._positions = torch.from_numpy(footage.positions_nf.copy())
        (there,) = np.nonzero(footage.there_n)
        self._plain = self._ask(guide, len(clips), there, mirrored=False)
        self._mirrored = (
            self._ask(guide, len(clips), there, mirrored=True)
            if config.augment.mirror
            else self._plain
        )

    @property
    def width(self) -> int:
        """C, channels of the skeleton's parts."""
        return self._plain.parts_npc.shape[-1]

    def heat(
        self,
        clips_n: Tensor,
        joints_nmfv2: Tensor,
        grid: tuple[int, int, int],
        mirrored_n: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor]:
        """The heat map (N, T', H', W'), None where guidance is off, and the joints' Gaussians.

        Args:
            clips_n: Their indices.
            joints_nmfv2: Where their joints are in the images, on the device.
            grid: (T', H', W').
            mirrored_n: Which of them are mirrored; None: none.
        """
        spots = gaussians(joints_nmfv2, grid)
        if self.config.guidance.mode == "off":
            return None, spots
        importance = self._said("importance_nmtv", clips_n, mirrored_n)
        at = at_images(importance, self._positions[clips_n], self._num_frames[clips_n])
        return heat_map(at.to(self.device), spots), spots

    def masks(self, spots_nmtvhw: Tensor) -> Tensor | None:
        """(N, P, T', H', W') where what is contrasted is: parts, or the body; None for nothing."""
        if not self.config.parts.weight or self.config.parts.mode == "off":
            return None
        masks = part_masks(spots_nmtvhw, self.layout)
        return masks if self.config.parts.mode == "parts" else masks.amax(1, keepdim=True)

    def tokens(self, clips_n: Tensor, mirrored_n: Tensor | None = None) -> Tensor:
        """(N, P, C) the skeleton's features of what `masks` shows, on the device."""
        tokens = self._said("parts_npc", clips_n, mirrored_n)
        if self.config.parts.mode == "body":
            tokens = tokens.mean(1, keepdim=True)
        return tokens.to(self.device, self.config.optim.dtype)

    def _said(self, what: str, clips_n: Tensor, mirrored_n: Tensor | None) -> Tensor:
        """Of the insight, on the host."""
        plain: Tensor = getattr(self._plain, what)[clips_n]
        # Where nothing is mirrored no device need be waited for.
        if mirrored_n is None or self._mirrored is self._plain:
            return plain
        turned = getattr(self._mirrored, what)[clips_n]
        return torch.where(mirrored_n.cpu().view(-1, *[1] * (plain.dim() - 1)), turned, plain)

    def _ask(self, guide: FrozenEncoder, clips: int, there: Int64Array, mirrored: bool) -> Insight:
        """What the guide says of every clip with a video, as configured; others are zero."""
        said = guide.ask(torch.from_numpy(there), mirrored)
        present = said.importance_nmtv.amax((2, 3), keepdim=True) > 0
        if self.config.guidance.mode == "uniform":
            said = Insight(present.expand_as(said.importance_nmtv).float(), said.parts_npc)
        elif self.config.guidance.mode == "random":
            drawn = torch.stack(
                [
                    torch.rand(
                        said.importance_nmtv.shape[1:],
                        generator=keyed_generator(self.config.seed, "guidance", int(clip)),
                    )
                    for clip in there
                ]
            )
            said = Insight(drawn * present, said.parts_npc)
        importance = torch.zeros(clips, *said.importance_nmtv.shape[1:])
        parts = torch.zeros(clips, *said.parts_npc.shape[1:])
        importance[there], parts[there] = said.importance_nmtv, said.parts_npc
        return Insight(importance, parts)


def visible(masks_npthw: Tensor, tokens_npc: Tensor) -> Tensor:
    """(N, P) which parts can be compared: those in the picture that the layout has."""
    return (masks_npthw.sum((2, 3, 4)) > VISIBLE) & tokens_npc.any(-1)
